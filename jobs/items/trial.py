"""Trials: which rows a person asks for, what became of them, and what that says about the whole job."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import fmean, median
from typing import Final

from jobs import processors
from jobs.engine import Policy
from jobs.engine.cores import cores
from jobs.engine.pace import whole
from jobs.items import row_ranges
from jobs.items.row_ranges import InvalidSelection
from jobs.models import Item, ItemState, Job, Run, parameters
from jobs.models.job import Refused
from jobs.store.shards import PENDING_CELLS

MOST: Final = 100  # rows of a trial


@dataclass(frozen=True, slots=True)
class Trial:
    """The latest rows that were tried, in their order, with long texts cut. `typical` is the median of their seconds.

    `whole` is how many seconds all rows of the job will take at that pace. Both are None where nothing was timed.
    """

    items: tuple[Item, ...]
    typical: float | None
    whole: float | None


def summary(job: Job) -> Trial | None:
    """What the trials of a job came to; None where there was none, or other settings discarded it."""
    runs = list(job.runs.filter(kind=Run.Kind.TRIAL).order_by("-number").values_list("pk", "positions"))
    if not runs:
        return None
    positions = list(chain.from_iterable(tried for _, tried in runs))
    tried = job.read_items().filter(position__in=positions, run__in=[pk for pk, _ in runs])
    latest = tried.exclude(state=ItemState.PENDING).order_by("-run", "position")[:MOST]
    items = tuple(sorted(latest.brief(), key=lambda item: item.position))
    return Trial(items, *_pace(job, items)) if items else None


def _pace(job: Job, items: tuple[Item, ...]) -> tuple[float | None, float | None]:
    """The median seconds of an attempt, and the seconds of the whole job with all attempts that were needed."""
    timed = [(item.seconds, max(1, item.tries)) for item in items if item.seconds is not None]
    if not timed:
        return None, None
    mean, tries = fmean(seconds * tries for seconds, tries in timed), fmean(tries for _, tries in timed)
    rows = job.total - int(job.report.get("bad_total", 0))
    # Every try is a start, and the rate limits these.
    policy = Policy(workers=_at_once(job), rate=job.rate and job.rate / tries)
    return median(seconds for seconds, _ in timed), whole(rows, mean, policy)


def _at_once(job: Job) -> int:
    """How many rows it works on at a time: of what computes no more than there are cores."""
    try:
        computes = processors.get(job.processor).kind_of(parameters.public(job.processor, job.parameters)) == "cpu"
    except processors.UnknownProcessor:
        computes = False
    return min(job.workers, cores()) if computes else job.workers


def row_numbers(text: str, total: int) -> list[int]:
    """The rows that `3, 17, 20-25` names, in their order. Raises InvalidSelection."""
    spans = row_ranges.parse(text or ",", total)
    if (count := row_ranges.size(spans)) > MOST:
        raise InvalidSelection(f"A trial takes up to {MOST} rows; these are {count:,}.")
    return [at + 1 for at in row_ranges.positions(spans)]


def pick(job: Job, rows: str, count: int, chosen: Sequence[int] = ()) -> list[int]:
    """The positions of `count` waiting items, the first or random ones, or of the `chosen` rows (counted from 1).

    Raises Refused with a sentence where there are no such items.
    """
    wanted = len(set(chosen)) if rows == "chosen" else count
    if not 1 <= wanted <= MOST:
        raise Refused(f"A trial takes from 1 to {MOST} rows, not {wanted:,}.")
    positions = {"first": _first, "random": _random}[rows](job, count) if rows != "chosen" else _chosen(job, chosen)
    if not positions:
        raise Refused("No row of this job is waiting to be tried.")
    return positions


def _first(job: Job, count: int) -> list[int]:
    waiting = Item.objects.filter(job=job, state=ItemState.PENDING).order_by("position")
    return list(waiting.values_list("position", flat=True)[:count])


def _random(job: Job, count: int) -> list[int]:
    shards = list(job.shards.order_by("number").values_list("pk", "pending"))
    total = sum(pending for _, pending in shards)
    places = sorted(random.sample(range(total), min(count, total)))
    positions, before = [], 0
    for shard, pending in shards:
        inside = [place - before for place in places if before <= place < before + pending]
        positions += _waiting_in(job, shard, inside) if inside else []
        before += pending
    return positions


def _waiting_in(job: Job, shard: int, places: Sequence[int]) -> list[int]:
    """The positions of a shard's items that wait, at these places among them."""
    start, cells = job.shards.values_list("start", "cells").get(pk=shard)
    waiting = (start + at for at, cell in enumerate(bytes(cells)) if cell in PENDING_CELLS)
    wanted = set(places)
    return [position for place, position in enumerate(islice(waiting, max(places) + 1)) if place in wanted]


def _chosen(job: Job, rows: Sequence[int]) -> list[int]:
    asked = sorted(set(rows))
    waiting = Item.objects.filter(job=job, state=ItemState.PENDING, position__in=[row - 1 for row in asked])
    positions = sorted(waiting.values_list("position", flat=True))
    missing = [row for row in asked if row - 1 not in positions]
    if missing:
        shown = ", ".join(f"{row:,}" for row in missing[:5])
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise Refused(f"These rows cannot be tried, since they do not wait: {shown}{more}.")
    return positions
