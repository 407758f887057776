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

    def of(self, queue: str) -> WorkerQuerySet:
        """Those that take tasks from this queue: `work`, or `load` for the readers of files."""
        return self.filter(queues__contains=queue)

    def alive(self, within: timedelta = SEEN_WITHIN) -> WorkerQuerySet:
        return self.filter(seen__gte=Now() - within, stopping=False)


class Worker(models.Model):
    """A worker process that was seen, and when it was seen last."""

    name = models.CharField(max_length=200, unique=True)
    processes = models.PositiveIntegerField(default=1)
    started = models.DateTimeField(default=timezone.now)
    seen = models.DateTimeField(default=timezone.now)
    queues = models.CharField(max_length=200, db_default="work", help_text="The queues it takes tasks from.")
    stopping = models.BooleanField(db_default=False, help_text="It was told to stop.")

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["seen"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def saw(cls, name: str, processes: int = 1, stopping: bool = False, **more: str) -> Worker:
        """Notes that the worker called `name` lives, by the database's clock. `more` may say its `queues`."""
        now = Now()
        fields = {"seen": now, "processes": processes, "stopping": stopping, **more}
        worker, _ = cls.objects.update_or_create(name=name, defaults=fields, create_defaults=fields | {"started": now})
        return worker
