from __future__ import annotations

from django.db import models
from django.utils import timezone


class Batch(models.Model):
    """What one transaction changed: the next number in its job's sequence, for viewers that follow it.

    `delta` holds the items that changed as (position, state) in the encoding of `jobs.events`, or nothing at all where
    they were too many to list, and viewers fetch the snapshot; `rows` holds the newest of
    them as JSON, at most 25.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="batches", db_index=False)
    seq = models.PositiveIntegerField()
    created = models.DateTimeField(default=timezone.now)
    delta = models.BinaryField(null=True, default=b"")
    rows = models.TextField(default="[]")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="batch_seq_in_job")]
        indexes = [models.Index(fields=["created"], name="batch_created")]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"batch {self.seq}"
