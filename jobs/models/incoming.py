from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now

from jobs.models import quota_limits
from jobs.models.quota import Quota

# Whoever receives a file says so every half minute; nobody says so any more of one whose web server died.
HEARD_WITHIN: Final = timedelta(seconds=120)


class IncomingQuerySet(models.QuerySet["Incoming"]):
    """Files on their way here, and those that never arrived."""

    def alive(self) -> IncomingQuerySet:
        return self.filter(heard__gte=Now() - HEARD_WITHIN)

    def lost(self) -> IncomingQuerySet:
        return self.filter(heard__lt=Now() - HEARD_WITHIN)

    def bytes(self) -> int:
        """For how many bytes room is kept."""
        return int(self.aggregate(bytes=models.Sum("size", default=0))["bytes"])


class Incoming(models.Model):
    """A file that somebody is sending, and the room that is kept for it until it is stored or given up."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="incoming")
    size = models.BigIntegerField(help_text="Bytes.")
    heard = models.DateTimeField(db_default=Now(), help_text="When some of it came last.")

    objects = IncomingQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{quota_limits.mb(self.size)} from {self.person}"

    @classmethod
    def expect(cls, person: Any, size: int) -> int:
        """Keeps room for a file of `size` bytes; returns the key by which it is known.

        Raises OverQuota where it does not fit beside what the person has and is sending, or where they send too many at
        a time, and NoRoom where the disk is too full.
        """
        with transaction.atomic():
            quota_limits.one_at_a_time(person.pk)
            sending = cls.objects.alive().filter(person=person.pk)
            quota_limits.room_to_send(sending.count())
            quota_limits.room_for_file(Quota.used(person) + sending.bytes(), size, Quota.of(person).megabytes)
            quota_limits.room_on_disk(size + cls.objects.alive().bytes())
            return cls.objects.create(person_id=person.pk, size=size).pk

    @classmethod
    def grow(cls, key: int, person: Any, size: int) -> None:
        """Keeps room for `size` bytes in place of fewer. Raises what `expect` raises."""
        with transaction.atomic():
            quota_limits.one_at_a_time(person.pk)
            others = cls.objects.alive().exclude(pk=key)
            used = Quota.used(person) + others.filter(person=person.pk).bytes()
            quota_limits.room_for_file(used, size, Quota.of(person).megabytes)
            quota_limits.room_on_disk(size + others.bytes())
            cls.objects.filter(pk=key).update(size=size, heard=Now())
