"""How long to wait before the next attempt: pure arithmetic."""

from __future__ import annotations

# 2**1023 is the largest power that a float holds; long before that the cap has won.
_LARGEST_EXPONENT = 1000


def ceiling(number: int, base: float, cap: float) -> float:
    """The longest wait in seconds after attempt `number` (from 1): base, 2 base, 4 base, …, never over the cap."""
    return min(cap, base * 2.0 ** min(number - 1, _LARGEST_EXPONENT))


def delay(number: int, base: float, cap: float, chance: float) -> float:
    """The wait in seconds after attempt `number`: from half of the ceiling up to all of it, as `chance` in [0, 1) says.

    This is the "equal jitter" of M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015: items that
    failed together do not come back together, and none comes back at once.
    """
    half = ceiling(number, base, cap) / 2
    return half + half * chance
