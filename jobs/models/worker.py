from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

ANY: Final = 1_000_000  # processes, where nobody has to be kept from the last one
# Three beats of five seconds may be missed before a worker counts as gone.
SEEN_WITHIN: Final = timedelta(seconds=15)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers, dead and alive."""

    def of(self, queue: str) -> WorkerQuerySet:
        """Those that take tasks from this queue: `work`, or `load` for the readers of files."""
        return self.filter(queues__contains=queue)

    def alive(self, within: timedelta = SEEN_WITHIN) -> WorkerQuerySet:
        return self.filter(seen__gte=Now() - within, stopping=False)

    def silent(self, for_long: timedelta) -> WorkerQuerySet:
        """Those that nobody has heard of for so long."""
        return self.filter(seen__lt=Now() - for_long)

    def processes(self) -> int:
        """How many processes those have that live."""
        found: int = self.alive().aggregate(sum=Sum("processes", default=0))["sum"]
        return found

    def for_one(self) -> int:
        """How many of these processes one person may keep at work: all but one, which stays free for the others.

        It stays free also while nobody else is there: an item may take as long as it likes, and whoever came then
        would wait for it. Of a single process there is nothing to keep free: people have it in turns.
        """
        processes = self.processes()
        return processes - 1 if processes > 1 else ANY


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
