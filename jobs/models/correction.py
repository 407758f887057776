from __future__ import annotations

from django.db import models
from django.utils import timezone


class Correction(models.Model):
    """What an item's payload was before somebody fixed it. Who that was, and the file it came from, its run says."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    position = models.PositiveIntegerField()
    run = models.ForeignKey(
        "jobs.Run", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField(default=timezone.now)
    payload = models.TextField(help_text="The old one.")

    class Meta:
        indexes = [models.Index(fields=["job", "position"], name="correction_of_item")]

    def __str__(self) -> str:
        return f"correction of row {self.position + 1}"
