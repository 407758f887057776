from __future__ import annotations

from django.db import models
from django.utils import timezone


class Cause(models.Model):
    """A group of failures of one job with the same signature, as `jobs.store.signatures` makes them.

    Of `first` and `last` only the moment is kept at which they were written: items that are tried again leave the
    group. `jobs.store.causes` reads from the items where it begins and ends now.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="causes")
    signature = models.CharField(max_length=32)
    kind = models.CharField(max_length=100)
    title = models.CharField(max_length=300)
    sample = models.TextField(help_text="The message of the first such failure.")
    count = models.IntegerField(db_default=0, help_text="Items that failed for this cause and were not tried again.")
    first = models.PositiveIntegerField(help_text="Lowest position it was seen at.")
    last = models.PositiveIntegerField(help_text="Highest position it was seen at.")
    since = models.DateTimeField(default=timezone.now)  # then its first item failed, after none was left of it
    top_frame = models.CharField(max_length=200, db_default="", help_text="The innermost frame of the trace.")
    accepted = models.IntegerField(db_default=0, help_text="Of the items, those that somebody accepted as they are.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "signature"], name="cause_signature_in_job")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.title}"
