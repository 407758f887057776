"""Durations by logarithmic bucket, small enough to stand on each shard.

20 buckets for each factor of ten from 0.1 ms to 10,000 s: a quantile read from it is off by at most 6 %
(half of the bucket's width of 10^(1/20) = 1.122).
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Final

BUCKETS: Final = 160
PER_DECADE: Final = 20
SHORTEST: Final = 1e-4  # seconds

# Duration in seconds → its bucket.
bucket = partial(bisect_right, [SHORTEST * 10 ** (edge / PER_DECADE) for edge in range(1, BUCKETS)])


def empty() -> array[int]:
    return array("I", bytes(4 * BUCKETS))


def load(data: bytes | memoryview) -> array[int]:
    """The counts stored as `data`; nothing stored means none."""
    return array("I", bytes(data)) if data else empty()


def add(counts: array[int], durations: Iterable[float]) -> array[int]:
    """`counts` with one more for each of `durations`, in seconds."""
    for number, count in Counter(map(bucket, durations)).items():
        counts[number] += count
    return counts


def total(histograms: Iterable[bytes | memoryview]) -> array[int]:
    """The sum of stored histograms, each taken as one large number; no bucket's 32 bits run over into the next."""
    lanes = sum(int.from_bytes(data, sys.byteorder) for data in histograms)
    return array("I", lanes.to_bytes(4 * BUCKETS, sys.byteorder))


def quantile(counts: array[int], share: float) -> float | None:
    """The duration in seconds that `share` of the attempts stayed below; None without attempts."""
    wanted = share * sum(counts)
    seen = 0
    for number, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return float(SHORTEST * 10 ** ((number + 0.5) / PER_DECADE))
    return None
