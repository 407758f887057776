from __future__ import annotations

from django.conf import settings
from django.db import models


class Quota(models.Model):
    """How much one person may have here, where it is not what the settings say. Empty: as they say; 0: no limit."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="quota"
    )
    stored_mb = models.PositiveIntegerField(
        "stored MB", null=True, blank=True, help_text="Of files, in millions of bytes. Empty: JOBS_MAX_STORED_MB."
    )
    running_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs that have not ended. Empty: JOBS_MAX_RUNNING_JOBS."
    )

    def __str__(self) -> str:
        return f"quota of {self.person}"
