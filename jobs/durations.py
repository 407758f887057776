"""Durations as people write them in options and settings, and as they are written for people."""

from __future__ import annotations

import math
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


def written(seconds: float) -> str:
    """11 ms, 4.2 s, 1 min 44 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 1:
        milliseconds = half_up(seconds * 1000)
        return "<1 ms" if seconds and not milliseconds else f"{milliseconds} ms" if milliseconds else "0 s"
    if seconds < 9.95:
        return f"{half_up(seconds * 10) / 10:.1f} s"
    return units(half_up(seconds))


def units(seconds: int) -> str:
    """The largest unit and the next smaller one, where that is not zero."""
    for size, name, smaller, small_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{seconds} s"


def half_up(value: float) -> int:
    """Rounded as JavaScript does it, so that pages and their scripts write the same."""
    return math.floor(value + 0.5)
