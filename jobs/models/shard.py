from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models.worker import Worker

# When that is due which waits for a person, while other rows are tried.
HELD_BACK: Final = datetime(9999, 1, 1, tzinfo=UTC)


class ShardQuerySet(models.QuerySet["Shard"]):
    """Shards by who holds them."""

    def leased(self) -> ShardQuerySet:
        return self.exclude(token="")

    def tasks_of(self, owner: int) -> int:
        """How many tasks of living workers are at this person's jobs: each notes its share on one of its leases."""
        return self.leased().filter(share__gt=0, job__owner=owner, worker__in=Worker.objects.alive()).count()

    def expired(self) -> ShardQuerySet:
        """Leases whose holder has not been heard of in time, by the database's clock."""
        return self.leased().filter(expires__lt=Now())

    def unfinished(self) -> ShardQuerySet:
        """Shards that somebody holds or that have something to do, if only later; not what is held back."""
        return self.filter(Q(pending__gt=0) & ~Q(due=HELD_BACK) | ~Q(token=""))

    def claimable(self) -> ShardQuerySet:
        """Shards with something to do now, in jobs that may be worked on."""
        due = Q(due=None) | Q(due__lte=Now())
        return self.filter(due, job__state__in=("queued", "running"), token="", pending__gt=0)


class Shard(models.Model):
    """A fixed range of positions: its lease, its counts, its cells.

    Counts are those of the cells, written in the transaction that writes the rows; a job's counts are their sum.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="shards", db_index=False)
    number = models.PositiveIntegerField()
    start = models.PositiveIntegerField(help_text="First position.")
    stop = models.PositiveIntegerField(help_text="One past the last position.")

    token = models.CharField(max_length=32, db_default="", help_text="Fresh for each lease; every write carries it.")
    worker = models.ForeignKey("jobs.Worker", null=True, on_delete=models.SET_NULL, related_name="shards")
    process = models.PositiveIntegerField(db_default=0, help_text="The holder's process id on the worker's machine.")
    expires = models.DateTimeField(null=True)
    limit_round = models.PositiveIntegerField(db_default=0, help_text="The job's when the lease was taken.")
    share = models.PositiveIntegerField(db_default=0, help_text="Of the job's workers, those this lease may use.")
    claimed = models.TextField(db_default="[]", help_text="Positions that may have been started, as JSON.")
    running = models.PositiveIntegerField(db_default=0)
    rerunning = models.PositiveIntegerField(db_default=0, help_text="Of the running ones, those tried before.")
    in_flight = models.TextField(db_default="[]", help_text="(position, running since) as JSON; seconds of the epoch.")
    rate = models.FloatField(db_default=0.0, help_text="Items a second of the present lease.")
    throttled = models.FloatField(null=True, help_text="Its service asks to wait until then, in seconds of the epoch.")
    due = models.DateTimeField(null=True, help_text="All that is pending waits until then.")

    pending = models.PositiveIntegerField(db_default=0)
    retrying = models.PositiveIntegerField(db_default=0, help_text="Of the pending ones, those tried before.")
    succeeded = models.PositiveIntegerField(db_default=0)
    failed = models.PositiveIntegerField(db_default=0)
    rejected = models.PositiveIntegerField(db_default=0)
    fallbacks = models.PositiveIntegerField(db_default=0, help_text="Of the failed ones, those with a fallback.")
    attempts = models.PositiveIntegerField(db_default=0)
    cells = models.BinaryField(help_text="One byte of state for each item.")
    histogram = models.BinaryField(default=b"", help_text="Attempts by duration; see jobs.models.latency_histogram.")

    objects = ShardQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="shard_number_in_job"),
            models.CheckConstraint(
                condition=Q(stop=models.F("start") + models.F("pending") + models.F("succeeded") + models.F("failed")
                            + models.F("rejected")),
                name="shard_counts_add_up",
            ),
        ]  # fmt: skip
        indexes = [models.Index(fields=["expires"], name="shard_leases", condition=~Q(token=""))]

    def __str__(self) -> str:
        return f"shard {self.number}"
