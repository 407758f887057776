from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models.functions import Now

BROKER: Final = "broker"
# What was noted longer ago says nothing of now: the keeper looks each second while there is work that nobody does.
FRESH: Final = timedelta(seconds=15)


class Part(models.Model):
    """A part of the system that the keeper looks at, so that pages need not."""

    name = models.CharField(max_length=50, unique=True)
    ok = models.BooleanField()
    seen = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def saw(cls, name: str, ok: bool) -> None:
        """Notes how it is. That it is well is noted once."""
        if ok:
            cls.objects.filter(name=name, ok=False).update(ok=True, seen=Now())
        else:
            cls.objects.update_or_create(name=name, defaults={"ok": False, "seen": Now()})

    @classmethod
    def away(cls, name: str) -> models.QuerySet[Part]:
        """The part, where it was seen away a moment ago."""
        return cls.objects.filter(name=name, ok=False, seen__gte=Now() - FRESH)
