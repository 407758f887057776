"""Finds the items that a person wants to see, a page at a time, however large the job is.

A page is found by its neighbour's row (or value and row), never by counting to it. What no index knows, texts and
durations, is looked for in steps that get longer as long as they are quick, until the page is full or the time is up;
the page then says how far that went. A row may hold megabytes: a step that takes much too long is interrupted, as if it
had not begun.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.db.models import DateTimeField, F, FloatField, Q, Value
from django.db.models.functions import Coalesce

from batchweb import deadlines
from batchweb.deadlines import TookTooLong
from jobs.items import positions as items_positions
from jobs.items.matching import EPOCH, conditions, number, past
from jobs.items.selection import ALL, NEWEST, NOT_SUCCEEDED, STATES, Mark, Wanted
from jobs.models import Cause, Item, ItemState, Job
from jobs.models.item import ItemQuerySet

PAGE: Final = 50
SORTABLE: Final = 50_000  # rows; what is more is shown in the order of the file
SECONDS: Final = 0.35  # after which a search ends
SORTED_WITHIN: Final = 2.0  # seconds; what takes longer to find and sort is shown in the order of the file
STEP: Final = 0.05  # seconds that a step should take
MOST: Final = 1.0  # seconds that it may take
FIRST: Final = 250  # rows of the first step
FASTER: Final = 4  # times as many rows has a step at most as the one before
# States that are found by where the shards say they are.
LISTED: Final = {"running": items_positions.running, "retrying": items_positions.retrying}
RANGES: Final = 300  # of positions in one condition; with more of them all rows are looked at
TOGETHER: Final = 500  # positions that are asked for at once


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of items by position, in the order wanted, and the marks of the pages beside it.

    `leaves` is how many rows the filter leaves at most, `exact` whether it leaves just so many. `searched` is the
    first and the last row that were looked through, where the time was up before the page was full. `sorted` says
    that the order asked for was possible.
    """

    positions: list[int]
    previous: Mark | None
    next: Mark | None
    leaves: int
    exact: bool
    sorted: bool = True
    searched: tuple[int, int] | None = None


def find(
    job: Job, wanted: Wanted, counts: Mapping[str, int], clock: Callable[[], float] = time.monotonic, *,
    of_cause: int | None = None,
) -> SearchPage:  # fmt: skip
    """The page that is wanted.

    `counts` are the job's as `numbers.summary` gives them, `of_cause` how many items the wanted cause has, if known.
    """
    if wanted.row is not None:
        wanted = Wanted(state=ALL, after=Mark(wanted.row - 1), more=wanted.more)
    search = Search(job, wanted, clock)
    leaves, exact = search.leaves(counts, of_cause)
    if wanted.sort.removeprefix("-") != "row" and leaves <= SORTABLE:
        with suppress(TookTooLong), deadlines.at_most(SORTED_WITHIN if wanted.searches else deadlines.FOR_EVER):
            return search.by_value(leaves, exact)
    return search.by_row(leaves, exact)


class Search:
    """One search for one page."""

    def __init__(self, job: Job, wanted: Wanted, clock: Callable[[], float]) -> None:
        self.job = job
        self.wanted = wanted
        self.clock = clock
        self.states = STATES[wanted.state]
        self.conditions = conditions(wanted)
        self.back = wanted.before is not None
        # Whether it goes from larger values to smaller ones.
        self.down = wanted.sort.startswith("-") != self.back
        self.timed = items_positions.timed(job, wanted.least or 0.0, wanted.most)
        self.ranges = self.timed.ranges
        self.listed = self._listed()
        self.size = FIRST
        self.page = PAGE + wanted.more

    def _listed(self) -> list[int] | None:
        """All positions that come into question, where the shards know them."""
        if read := LISTED.get(self.wanted.state):
            return read(self.job) if self._possible() else []
        if self.wanted.state in ("waiting", "not_attempted"):
            if not self._possible():
                return []
            self.conditions &= ~Q(position__in=items_positions.running(self.job))
        return None

    def _possible(self) -> bool:
        """A job that has ended has nothing that waits, and any other one nothing that was not attempted."""
        if self.wanted.state == "running":
            return True
        return self.job.ended == (self.wanted.state == "not_attempted")

    def leaves(self, counts: Mapping[str, int], of_cause: int | None) -> tuple[int, bool]:
        """How many rows are wanted at most, and whether it is just so many."""
        wanted = self.wanted
        bounds = [self.timed.most]
        if wanted.state == NOT_SUCCEEDED:
            bounds.append(self.job.total - counts["succeeded"])
        elif self.states:
            bounds.append(len(self.listed) if self.listed is not None else counts[wanted.state])
        if wanted.cause:
            bounds.append(self._of_cause() if of_cause is None else of_cause)
        exact = not wanted.searches and not (wanted.cause and wanted.state not in ("", ALL, NEWEST, "failed"))
        return min(bounds), exact

    def _of_cause(self) -> int:
        return next(iter(Cause.objects.filter(job=self.job, pk=self.wanted.cause).values_list("count", flat=True)), 0)

    def items(self, where: Q) -> ItemQuerySet:
        # `where` keeps to rows below the job's total by itself: of two upper bounds SQLite may take the higher one.
        return Item.objects.filter(self.conditions & where, job=self.job)

    # In the order of the file

    def by_row(self, leaves: int, exact: bool) -> SearchPage:
        is_sorted = self.wanted.sort.removeprefix("-") == "row"
        if not is_sorted:
            self.down = self.back
        found, stopped = self._walk()
        beyond = self._beyond(found, stopped)
        searched = None if stopped is None or beyond is None else self._searched(stopped)
        return self._page(found[: self.page], self._behind(found), beyond, leaves, exact, is_sorted, searched)

    def _walk(self) -> tuple[list[int], int | None]:
        """What it finds, one more than the page has if there are so many; and where it stopped when the time was up."""
        found: list[int] = []
        looked: int | None = None
        until = self.clock() + SECONDS
        for where, seen in self.steps():
            try:
                with deadlines.at_most(MOST if self.wanted.searches else deadlines.FOR_EVER):
                    found += self.read(where, self.page + 1 - len(found))
            except TookTooLong:
                return self._single() if looked is None else (found, looked)
            if len(found) > self.page:
                break
            if self.clock() >= until:
                return found, seen
            looked = seen
        return found, None

    def _single(self) -> tuple[list[int], int]:
        """The same of one row, whatever that takes: the next search would begin with it again."""
        self.size = 1
        where, seen = next(self.steps())
        return self.read(where, 1), seen

    def read(self, where: Q, limit: int) -> list[int]:
        """The first positions of those, in the order of the walk. Of several states each has its own index."""
        order = "-position" if self.down else "position"
        queries = [self.items(where & Q(state=state)) for state in self.states] or [self.items(where)]
        parts = [query.order_by(order).values_list("position", flat=True)[:limit] for query in queries]
        return list(islice(heapq.merge(*parts, reverse=self.down), limit))

    def steps(self) -> Iterator[tuple[Q, int]]:
        """What to ask for one after another, each with the last position that is looked at then."""
        if self.listed is not None:
            yield from self._listed_steps(self.listed)
            return
        for low, high in reversed(self.ranges) if self.down else self.ranges:
            low, high = self._clipped(low, high)
            if low < high:
                yield from self._growing(low, high) if self.wanted.searches else [self._step(low, high)]

    def _listed_steps(self, listed: Sequence[int]) -> Iterator[tuple[Q, int]]:
        low, high = self._clipped(0, self.job.total)
        left = [at for at in (reversed(listed) if self.down else listed) if low <= at < high]
        while left:
            size = min(TOGETHER, self.size) if self.wanted.searches else TOGETHER
            part, left = left[:size], left[size:]
            with self._measured():
                yield Q(position__in=part), part[-1]

    def _growing(self, low: int, high: int) -> Iterator[tuple[Q, int]]:
        while low < high:
            start, stop = (max(low, high - self.size), high) if self.down else (low, min(high, low + self.size))
            with self._measured():
                yield self._step(start, stop)
            low, high = (low, start) if self.down else (stop, high)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        """Makes the next step as long as this one's pace allows."""
        begun = self.clock()
        yield
        took = max(self.clock() - begun, 1e-6)
        self.size = max(1, int(self.size * min(FASTER, STEP / took)))

    def _step(self, low: int, high: int) -> tuple[Q, int]:
        return Q(position__gte=low, position__lt=high), low if self.down else high - 1

    def _clipped(self, low: int, high: int) -> tuple[int, int]:
        """The part of a range on the far side of the mark."""
        mark = self.wanted.after or self.wanted.before
        if mark is None:
            return low, high
        return (low, min(high, mark.row - 1)) if self.down else (max(low, mark.row), high)

    def _beyond(self, found: Sequence[int], stopped: int | None) -> Mark | None:
        """The mark for going on in the direction of the walk."""
        if len(found) > self.page:
            return Mark(found[self.page - 1] + 1)
        low, high = self._clipped(0, self.job.total)
        if stopped is None or stopped == (low if self.down else high - 1):
            return None
        return Mark(stopped + 1)

    def _behind(self, found: Sequence[int]) -> Mark | None:
        """The mark for going back to where the walk came from."""
        mark = self.wanted.after or self.wanted.before
        if mark is None:
            return None
        if not found:
            return Mark(max(1, mark.row + (-1 if self.down else 1)))
        return None if found[0] == (self.job.total - 1 if self.down else 0) else Mark(found[0] + 1)

    def _searched(self, stopped: int) -> tuple[int, int]:
        low, high = self._clipped(0, self.job.total)
        return (stopped + 1, high) if self.down else (low + 1, stopped + 1)

    # By a value

    def by_value(self, leaves: int, exact: bool) -> SearchPage:
        column = self.wanted.sort.removeprefix("-")
        # The sum keeps SQLite from an index by position, where there is one in the order wanted.
        query = Item.objects.annotate(at=F("position") + 0, rank=self._rank(column))
        query = query.filter(self.conditions & self._within(), job=self.job, at__lt=self.job.total)
        if self.states:
            query = query.filter(state__in=self.states) if len(self.states) > 1 else query.filter(state=self.states[0])
        mark = self.wanted.after or self.wanted.before
        if mark and mark.value is not None:
            query = query.filter(past(mark, column, self.down))
        order = ("-rank", "-position") if self.down else ("rank", "position")
        rows = list(query.order_by(*order).values_list("position", "rank")[: self.page + 1])
        marks = [Mark(position + 1, number(rank)) for position, rank in rows]
        beyond = marks[self.page - 1] if len(rows) > self.page else None
        behind = (marks[0] if marks else mark) if mark and mark.value is not None else None
        return self._page([position for position, _ in rows[: self.page]], behind, beyond, leaves, exact)

    def _within(self) -> Q:
        if self.listed is not None:
            return Q(position__in=self.listed)
        if self.ranges == [(0, self.job.total)] or len(self.ranges) > RANGES:
            return Q()
        within = Q() if self.ranges else Q(position__in=())
        for low, high in self.ranges:
            within |= Q(position__gte=low, position__lt=high)
        return within

    def _rank(self, column: str) -> Any:
        """What to sort by. Where an index has it in order, it is left bare; what is not known comes before the rest."""
        if column == "attempts":
            return F(column)
        if self.states == (ItemState.FAILED,) and not self.wanted.searches:
            return F(column)
        if column == "seconds":
            return Coalesce(F(column), Value(-1.0), output_field=FloatField())
        return Coalesce(F(column), Value(EPOCH, DateTimeField()))

    # Both

    def _page(
        self, positions: list[int], behind: Mark | None, beyond: Mark | None, leaves: int, exact: bool,
        is_sorted: bool = True, searched: tuple[int, int] | None = None,
    ) -> SearchPage:  # fmt: skip
        if self.back:
            positions, behind, beyond = positions[::-1], beyond, behind
        return SearchPage(positions, behind, beyond, leaves, exact, is_sorted, searched)
