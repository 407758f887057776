from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Run(models.Model):
    """One order to work: who asked for what, and with which policy."""

    class Kind(models.TextChoices):
        TRIAL = "trial", "Trial"
        FIRST = "first", "First run"
        RETRY = "retry", "Retry"
        CORRECTION = "correction", "Correction"

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    parameters = models.JSONField(default=dict)
    policy = models.JSONField(default=dict)
    items = models.PositiveIntegerField(default=0)
    positions = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField()), help_text="What it tries, while others wait."
    )
    held_back = models.PositiveIntegerField(default=0, db_default=0, help_text="Items that wait until it is over.")
    upload = models.ForeignKey(
        "jobs.Upload", null=True, on_delete=models.PROTECT, related_name="runs", help_text="The file of corrections."
    )
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="run_number_in_job")]

    def __str__(self) -> str:
        kind = self.get_kind_display()
        return kind if self.kind == self.Kind.FIRST else f"{kind} {self.number}"
