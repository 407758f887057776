from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

# Three beats of five seconds may be missed before a worker counts as gone.
SEEN_WITHIN: Final = timedelta(seconds=15)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers, dead and alive."""

    def alive(self) -> WorkerQuerySet:
        return self.filter(seen__gte=Now() - SEEN_WITHIN)


class Worker(models.Model):
    """A worker process that was seen, and when it was seen last."""

    name = models.CharField(max_length=200, unique=True)
    processes = models.PositiveIntegerField(default=1)
    started = models.DateTimeField(default=timezone.now)
    seen = models.DateTimeField(default=timezone.now)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["seen"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def saw(cls, name: str, processes: int = 1) -> Worker:
        """Notes that the worker called `name` lives, by the database's clock."""
        now = Now()
        worker, _ = cls.objects.update_or_create(
            name=name, defaults={"seen": now, "processes": processes}, create_defaults={
                "seen": now, "started": now, "processes": processes
            }
        )  # fmt: skip
        return worker
