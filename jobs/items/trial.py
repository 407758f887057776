"""Trials: which rows a person asks for, what became of them, and what that says about the whole job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median
from typing import Final

from jobs import processors
from jobs.engine import Policy
from jobs.engine.cores import cores
from jobs.forms.setting_hints import whole
from jobs.items.picks import MOST
from jobs.models import Item, ItemState, Job, Run, parameters

_ROWS: Final = re.compile(r"([0-9]{1,9})(?:\s*[-–]\s*([0-9]{1,9}))?")


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


def row_numbers(text: str) -> list[int]:
    """The rows that `3, 17, 20-25` names, in their order. Raises ValueError with a sentence."""
    rows = sorted(set(chain.from_iterable(map(_rows, _parts(text)))))
    if len(rows) > MOST:
        raise ValueError(f"A trial takes up to {MOST} rows; these are {len(rows):,}.")
    return rows


def _parts(text: str) -> Iterator[str]:
    parts = [part.strip() for part in re.split(r"[,;\n]", text)]
    if not any(parts):
        raise ValueError("Write which rows to try, as 3, 17, 20-25.")
    return filter(None, parts)


def _rows(part: str) -> range:
    found = _ROWS.fullmatch(part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not found or not 1 <= first <= last:
        raise ValueError(f"“{part[:40]}” names no rows. Write numbers and ranges, as 3, 17, 20-25.")
    if last - first >= MOST:
        raise ValueError(f"A trial takes up to {MOST} rows; {part} are {last - first + 1:,}.")
    return range(first, last + 1)
