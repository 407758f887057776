"""Mistakes in the settings that no single setting shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from jobs.durations import duration


@register()
def leases(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A lease must outlive a few missed beats, and a turn must be worth taking."""
    found: list[CheckMessage] = []
    if settings.JOBS_LEASE_SECONDS < 2:
        found.append(Error("JOBS_LEASE_SECONDS must be at least 2.", id="jobs.E001"))
    if settings.JOBS_SHARD_SIZE < 10:
        found.append(Error("JOBS_SHARD_SIZE must be at least 10.", id="jobs.E002"))
    if settings.JOBS_MAX_WORKERS < 1:
        found.append(Error("JOBS_MAX_WORKERS must be at least 1.", id="jobs.E003"))
    try:
        duration(settings.RETENTION or "1d")
    except ValueError as error:
        found.append(Error(f"RETENTION: {error}", id="jobs.E004"))
    return found


@register(deploy=True)
def production(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """What is safe on one's own machine only."""
    found: list[CheckMessage] = []
    if settings.EMBEDDED_VALKEY:
        found.append(Warning("REDIS_URL is not set: processes on other machines get no wake-ups.", id="jobs.W001"))
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(Warning("DATABASE_URL is not set: SQLite serves one machine only.", id="jobs.W002"))
    return found
