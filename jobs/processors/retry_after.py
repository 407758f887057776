"""When a service asks to be left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

LEAST = 0.1


def wait_of(header: str | None, *, most: float, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date) asks for, within LEAST and `most`.

    None when there is none or it says nothing. Fractions are read too: the RFC has none, services send them.
    """
    seconds = _seconds(header or "", clock)
    # A NaN is not equal to itself, and no wait.
    if seconds is None or seconds != seconds:
        return None
    return min(max(seconds, LEAST), most)


def _seconds(header: str, clock: Callable[[], float]) -> float | None:
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(header).timestamp() - clock()
    except (ValueError, OverflowError):
        return None
