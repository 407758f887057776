"""Which rows a trial takes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from typing import Final

from jobs.models import Item, ItemState, Job
from jobs.models.job import Refused
from jobs.store.leases import PENDING_CELLS

MOST: Final = 100  # rows of a trial


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
