from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Offer(models.Model):
    """A job that its owner would give to somebody, who has not said yes or no."""

    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, related_name="offer")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="offers")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.job} for {self.person}"
