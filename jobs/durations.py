"""Durations as people write them in options and settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """`30d`, `12h` or `2w`. Raises ValueError with a sentence."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text.strip())
    if not found or not int(found[1]):
        raise ValueError(f"“{text}” is no duration. Write hours, days or weeks, as 12h, 30d or 2w.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
