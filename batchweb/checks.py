"""Mistakes in the settings that no single setting shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.http.request import validate_host

from jobs.humanize import duration

SHORTEST_KEY: Final = 32
# From and to. Python reads JSON that is nested up to about 990 levels deep, a database holds texts of less than 1 GB.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "JOBS_MAX_UPLOAD_SECONDS": (1, 7 * 24 * 3600),
    "JOBS_MAX_ROWS": (1, 2**31 - 1),
    "JOBS_MAX_COLUMNS": (1, 100_000),
    "JOBS_MAX_CELL_CHARS": (1, 500_000_000),
    "JOBS_MAX_ROW_MB": (1, 500),
    "JOBS_MAX_JSON_DEPTH": (1, 500),
    "JOBS_MAX_UNPACKED_MB": (1, 10_000_000),
    "JOBS_MAX_RATIO": (1, 100_000),
    "JOBS_MAX_SHEETS": (1, 10_000),
    "JOBS_INSPECTION_MEMORY_MB": (50, 10**6),
    "JOBS_MAX_STORED_MB": (0, 10**9),
    "JOBS_MAX_RUNNING_JOBS": (0, 10**6),
}


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


@register()
def signing_in(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A slip here would leave a door open that somebody believes to be shut."""
    found: list[CheckMessage] = []
    if settings.REQUIRE_SECOND_FACTOR not in ("", "staff", "everybody"):
        found.append(Error("REQUIRE_SECOND_FACTOR must be empty, staff or everybody.", id="jobs.E007"))
    if min(settings.SESSION_HOURS, settings.SESSION_IDLE_HOURS) <= 0:
        found.append(Error("SESSION_HOURS and SESSION_IDLE_HOURS must be more than 0.", id="jobs.E008"))
    if not settings.PASSWORD_SIGN_IN and not settings.OIDC_ISSUER:
        found.append(Error("PASSWORD_SIGN_IN=0 needs OIDC_ISSUER: else nobody could sign in.", id="jobs.E009"))
    return found


@register()
def address(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """What is set beside PUBLIC_URL may not say otherwise."""
    public, said = settings.PUBLIC, f"PUBLIC_URL says {settings.PUBLIC.origin}{settings.PUBLIC.prefix}"
    if not public.origin:
        return []
    contradictions = {
        f"PATH_PREFIX is {settings.PATH_PREFIX}": public.prefix != settings.PATH_PREFIX,
        f"ALLOWED_HOSTS does not have {public.host}": not validate_host(public.host, settings.ALLOWED_HOSTS),
        f"HTTPS is {int(settings.HTTPS)}": public.https != settings.HTTPS,
        "BEHIND_PROXY is 0, so nobody is believed to end HTTPS": public.https and not settings.PROXIES.count,
    }
    return [Error(f"{said}, but {text}.", id="jobs.E021") for text, wrong in contradictions.items() if wrong]


@register()
def keys(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A key that can be guessed protects nothing."""
    short = [at for at, key in enumerate(settings.SECRETS_KEYS, 1) if len(key) < SHORTEST_KEY or len(set(key)) < 10]
    return [
        Error(f"Key {at} of SECRETS_KEYS must have {SHORTEST_KEY} random characters at least.", id="jobs.E017")
        for at in short
    ]


@register()
def ranges(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A limit that nothing passes, or that protects from nothing, is a slip of the pen."""
    found = [
        Error(f"{name} must be from {least:,} to {most:,}, not {getattr(settings, name):,}.", id="jobs.E005")
        for name, (least, most) in RANGES.items()
        if not least <= getattr(settings, name) <= most
    ]
    if settings.JOBS_MAX_UPLOAD_BYTES < 1:
        found.append(Error("JOBS_MAX_UPLOAD_MB must be at least 1.", id="jobs.E006"))
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
