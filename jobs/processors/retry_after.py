"""When a service asks to be left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

LEAST = 0.1


def wait_of(headers: Mapping[str, str], *, most: float, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that the headers of an answer (their names in small letters) ask for, within LEAST and `most`.

    That is `retry-after-ms`, which some services send beside it and which says it exactly, else `retry-after`
    (RFC 9110, 10.2.3: seconds or an HTTP date). None when there is neither or it says nothing. Fractions are read too:
    the RFC has none, services send them.
    """
    seconds = _number(headers.get("retry-after-ms", ""), 0.001)
    if seconds is None:
        seconds = _seconds(headers.get("retry-after", ""), clock)
    return None if seconds is None else min(max(seconds, LEAST), most)


def _seconds(header: str, clock: Callable[[], float]) -> float | None:
    seconds = _number(header)
    if seconds is not None:
        return seconds
    try:
        return parsedate_to_datetime(header).timestamp() - clock()
    except (ValueError, OverflowError):
        return None


def _number(header: str, unit: float = 1.0) -> float | None:
    try:
        number = float(header) * unit
    except ValueError:
        return None
    # A NaN is not equal to itself, and no wait.
    return number if number == number else None
