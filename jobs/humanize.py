"""Numbers, durations and rates in words, as pages and settings write them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

DIGITS: Final = 18  # of a number that is read; more may be too large for a database
UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
SHORT: Final = 3  # seconds that are no matter
MOST: Final = 1e12  # no larger number is written, whatever somebody sets
# Up to so many seconds a time is told in this unit, rounded to a multiple of the step.
COARSE: Final = (
    (20, 1, 5, "second"), (100, 1, 10, "second"), (6_000, 60, 1, "minute"), (172_800, 3_600, 1, "hour"),
    (float("inf"), 86_400, 1, "day"),
)  # fmt: skip


def number(text: str, digits: int = DIGITS) -> int | None:
    """The whole number that stands in an address or a form; None where it is none, has a sign or more digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None


def items(count: int) -> str:
    return counted(count, "item")


def counted(count: int, word: str = "row") -> str:
    """1 row, 5,000 rows."""
    return f"{count:,} {word}{'s' if count != 1 else ''}"


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


def about(seconds: float) -> str:
    """A time so coarse that nobody takes it for exact: a few seconds, about 20 seconds, about 8 minutes."""
    return "a few seconds" if seconds < SHORT else f"about {span(seconds)}"


def span(seconds: float) -> str:
    """The time without the word before it: 20 seconds, 8 minutes, 3 hours, 2 days."""
    seconds = min(seconds, MOST)
    _, size, step, unit = next(found for found in COARSE if seconds < found[0])
    count = max(step, half_up(seconds / size / step) * step)
    return f"{count:,} {unit}{'s' if count != 1 else ''}"


def given(seconds: float) -> str:
    """A time that somebody has set, without the digit that a measured one has: 1 s, 0.5 s, 1 min."""
    return f"{seconds:g} s" if seconds < 60 else written(min(seconds, MOST))


def many(count: float) -> str:
    """A number without the digits behind its point, but for a small one: 3.4, 1,200."""
    return f"{half_up(min(count, MOST)):,}" if count >= 10 else f"{count:.2g}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th, 12th, 13th … 21st."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return f"{number:,}{({1: 'st', 2: 'nd', 3: 'rd'}).get(last, 'th')}"


def per_second(rate: float) -> str:
    """20/s, 2.5/s, 1,000,000/s."""
    return f"{f'{rate:,.3f}'.rstrip('0').rstrip('.')}/s"
