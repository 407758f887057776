from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db import models

from jobs.quotas import Allowed

OWN: Final = "your quota"


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

    @classmethod
    def of(cls, person: Any) -> Quota:
        """The person's quota; one that says nothing where there is none."""
        return cls.objects.filter(person=person.pk).first() or cls()

    @property
    def jobs(self) -> Allowed:
        """How many jobs that have not ended the person may have."""
        return allowed(self.running_jobs, "JOBS_MAX_RUNNING_JOBS")

    @property
    def megabytes(self) -> Allowed:
        """How many megabytes of files the person may have."""
        return allowed(self.stored_mb, "JOBS_MAX_STORED_MB")


def allowed(own: int | None, setting: str) -> Allowed:
    return Allowed(getattr(settings, setting), setting) if own is None else Allowed(own, OWN)
