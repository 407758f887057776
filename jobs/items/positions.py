"""Where in a job items of a kind lie, read from its shards: what runs, what is tried again, what took how long.

A million items are a few hundred shards, so that this costs milliseconds where asking the rows would cost seconds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import chain
from typing import Final

from django.db.models import Q

from jobs.models import Job, latency_histogram
from jobs.models.states import CELL_RETRYING

_RETRYING: Final = re.compile(re.escape(bytes([CELL_RETRYING])))


def running(job: Job) -> list[int]:
    """The positions of the items that run now, ascending."""
    in_flight = job.shards.filter(running__gt=0).values_list("in_flight", flat=True)
    return sorted(position for text in in_flight for position, _ in json.loads(text))


def retrying(job: Job) -> list[int]:
    """The positions of the items that were tried before and wait for their next attempt, ascending."""
    shards = job.shards.filter(retrying__gt=0).order_by("start").values_list("start", "cells")
    found = chain.from_iterable(
        (start + match.start() for match in _RETRYING.finditer(bytes(cells))) for start, cells in shards
    )
    now = set(running(job))
    return [position for position in found if position not in now]


@dataclass(frozen=True, slots=True)
class Timed:
    """Where items of some duration may be: ranges of positions (the first, one past the last), and the most items."""

    ranges: list[tuple[int, int]]
    most: int


def timed(job: Job, least: float, most: float | None) -> Timed:
    """Outside of the ranges, which ascend, no item took from `least` to `most` seconds.

    Known from the shards' histograms, which hold every attempt that cost one; an item that waits for its next attempt
    may not have cost any yet.
    """
    if least <= 0:
        return Timed([(0, job.total)], job.total)
    first, last = (
        latency_histogram.bucket(least),
        latency_histogram.BUCKETS if most is None else latency_histogram.bucket(most) + 1,
    )
    shards = job.shards.filter(~Q(histogram=b"") | Q(retrying__gt=0)).order_by("start")
    ranges: list[tuple[int, int]] = []
    count = 0
    for start, stop, again, counts in shards.values_list("start", "stop", "retrying", "histogram"):
        here = min(stop - start, again + sum(latency_histogram.load(counts)[first:last]))
        count += here
        if here:
            start = ranges.pop()[0] if ranges and ranges[-1][1] == start else start
            ranges.append((start, min(stop, job.total)))
    return Timed(ranges, count)
