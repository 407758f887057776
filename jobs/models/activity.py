from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class ActivityQuerySet(models.QuerySet["Activity"]):
    """What was done, the newest first."""

    def told(self, before: int | None = None) -> ActivityQuerySet:
        """With all that a list of them shows; only those before the one with the key `before`."""
        found = self if before is None else self.filter(pk__lt=before)
        shown = ("job", "at", "verb", "text", "by__username", "run__number", "run__upload__file")
        return found.select_related("by", "run__upload").only(*shown).order_by("-pk")


class Activity(models.Model):
    """Who did what to a job, in words."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="activities")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    verb = models.CharField(max_length=20)
    text = models.CharField(max_length=500)
    run = models.ForeignKey(
        "jobs.Run", null=True, on_delete=models.SET_NULL, related_name="+", help_text="The run that it ordered."
    )
    # The worker that was not heard of.
    silent = models.ForeignKey("jobs.Worker", null=True, on_delete=models.SET_NULL, related_name="+")
    items = models.PositiveIntegerField(default=0, db_default=0, help_text="How many items went back to the queue.")

    objects = ActivityQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "activities"

    def __str__(self) -> str:
        return self.text

    @property
    def correction(self) -> int | None:
        """The number of the run that it ordered, where that has a file of corrections which is still there."""
        return self.run.number if self.run and self.run.upload and self.run.upload.file else None
