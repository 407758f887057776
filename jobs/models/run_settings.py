"""What can be changed of a job that runs, and how a change is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jobs.humanize import per_second, written
from jobs.models.failure_limit import Limit

POLICY: Final = ("workers", "attempts", "timeout", "rate")
LIMIT: Final = ("limit_share", "limit_sample", "limit_count", "limit_streak")
NAMES: Final = {"workers": "items at a time", "attempts": "attempts", "timeout": "the timeout", "rate": "the rate"}


def limit_of(values: Mapping[str, Any]) -> Limit:
    return Limit(*(values[name] for name in LIMIT))


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs, each in words for the activity; a limit is one thing, whichever of its parts differ."""
    changed = [name for name in POLICY if before[name] != after[name]]
    words = [f"Changed {NAMES[name]} from {said(name, before[name])} to {said(name, after[name])}" for name in changed]
    limit = limit_of(after)
    if str(limit) != str(limit_of(before)):
        words.append(f"Changed the failure limit: pauses when {limit}" if limit else "Took the failure limit away")
    return words


def said(name: str, value: float | None) -> str:
    if value is None:
        return "no limit"
    if name == "timeout":
        return written(value)
    return per_second(value) if name == "rate" else f"{value:,}"
