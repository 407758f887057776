"""What viewers see of jobs that change: frames, composed once in each web process for all of its viewers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q

from jobs import events
from jobs.items import row as items_row
from jobs.live.frame import NEWEST, stats
from jobs.live.job_list import glance, list_row, listed
from jobs.live.shapes import Frame, ListRow
from jobs.live.status import SystemStatus
from jobs.models import Batch, Job
from jobs.models.job import JobQuerySet
from jobs.store import dialect
from jobs.store.outcomes import RecentRow

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Seconds between two readings of one job; many viewers are told less often, since each frame is sent to each of them.
INTERVAL: Final = 0.1
INTERVAL_OF_MANY: Final = 0.25
MANY: Final = 50
SHARE: Final = 0.5  # of its time a process spends at most on telling the viewers of one job
SLICE: Final = 20  # viewers that are told together, before those of other jobs have their turn
KEPT: Final = 400  # batches kept for viewers that are behind
CHANGES: Final = 50_000  # more changed items than this in one frame: the snapshot is cheaper
FEW: Final = 8  # rows of a frame where at least as many finished as it may hold: pages then show a sample a second
LISTED: Final = 25  # jobs on a page of the list
GLANCE: Final = 1.0  # seconds for which the numbers above the list are good

# All reading for viewers happens in one thread, so that a process needs one connection for it.
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")


async def in_reader(function: Callable[..., T], *args: Any) -> T:
    """Runs the function with the database in the reader's thread, which keeps its connection as long as it works."""

    def call() -> T:
        try:
            return function(*args)
        except (OperationalError, InterfaceError):
            connection.close()
            return function(*args)

    return await sync_to_async(call, thread_sensitive=False, executor=_reader)()


@dataclass
class Head:
    """The newest state of one job that this process has read, and the batches that led there."""

    code: str
    frame: Frame
    read_at: float
    batches: deque[tuple[int, bytes | None, list[RecentRow]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    encoded: dict[int, tuple[str, bytes | None]] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        return int(self.frame["seq"])


def read_head(code: str, before: Head | None) -> Head | None:
    """Reads the job's numbers, and the batches since the last reading; None when the job is gone."""
    with dialect.one_moment():
        return _read_head(code, before)


def _read_head(code: str, before: Head | None) -> Head | None:
    began = time.monotonic()
    job = Job.objects.present().filter(code=code).select_related("run", "upload").first()
    if job is None:
        return None
    head = Head(code, stats(job, rows=[]), began)
    if before:
        head.batches.extend(before.batches)
    known = max(before.seq if before else 0, head.seq - KEPT)
    found = Batch.objects.filter(job=job, seq__gt=known, seq__lte=head.seq).order_by("seq")
    for seq, delta, rows in found.values_list("seq", "delta", "rows"):
        head.batches.append((seq, None if delta is None else bytes(delta), json.loads(rows)))
    items_row.add_labels(islice(newest(head.batches), NEWEST), job)
    return head


def newest(batches: Iterable[tuple[int, bytes | None, list[RecentRow]]]) -> Iterator[RecentRow]:
    """The rows of these batches, those of the last one first."""
    return (row for _, _, rows in reversed(list(batches)) for row in rows)


def frames(head: Head, since: int) -> tuple[str, bytes | None]:
    """What a viewer at number `since` needs: the stats frame (or a call to resync) and the cells frame, if any.

    Encoded once for all viewers with the same `since`.
    """
    if since not in head.encoded:
        head.encoded[since] = _frames(head, since)
    return head.encoded[since]


def _frames(head: Head, since: int) -> tuple[str, bytes | None]:
    news = [batch for batch in head.batches if batch[0] > since]
    whole = [batch[0] for batch in news] == list(range(since + 1, head.seq + 1))
    if not whole or any(delta is None for _, delta, _ in news):
        return resync(head), None
    changes = events.merge(delta for _, delta, _ in news if delta)
    if len(changes) > CHANGES:
        return resync(head), None
    rows = list(islice(newest(news), NEWEST))
    if len(rows) == NEWEST:
        rows = rows[:FEW]
    # A page shows both at once, so it is told whether cells follow.
    told = head.frame | {"from": since, "rows": rows, "cells": bool(changes)}
    text = json.dumps(told, separators=(",", ":"))
    return text, events.cells_frame(since, head.seq, changes) if changes else None


def resync(head: Head) -> str:
    return json.dumps({"t": "resync", "seq": head.seq})


# One reading for all viewers


class Reading(Generic[K, T]):
    """One reading at a time for each key; whoever asks meanwhile gets what it finds."""

    def __init__(self, read: Callable[[K], Awaitable[T]]) -> None:
        self._read = read
        self._tasks: dict[K, asyncio.Future[T]] = {}

    async def get(self, key: K) -> T:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(self._read(key))
            task.add_done_callback(lambda done: self._forget(key, done))
        # One viewer that leaves does not take the reading away from the others.
        return await asyncio.shield(task)

    def _forget(self, key: K, done: asyncio.Future[T]) -> None:
        self._tasks.pop(key, None)
        if not done.cancelled():
            done.exception()  # Everybody who asked may have left: nobody else looks at it then.


class Hub:
    """Reads each watched job a few times a second, however many watch it, and then wakes those who do."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._viewers: dict[str, set[Callable[[], None]]] = {}
        self._news: dict[str, int] = {}
        self._rounds: dict[str, asyncio.Task[None]] = {}
        self._took: dict[str, float] = {}
        self._reading: Reading[str, Head | None] = Reading(self._read)

    def join(self, code: str, wake: Callable[[], None]) -> None:
        self._viewers.setdefault(code, set()).add(wake)

    def leave(self, code: str, wake: Callable[[], None]) -> None:
        viewers = self._viewers.get(code, set())
        viewers.discard(wake)
        if not viewers:
            for known in (self._viewers, self._heads, self._news, self._took):
                known.pop(code, None)

    def hear(self, code: str, seq: int) -> None:
        """A wake-up came: reads the job, and then wakes everybody who watches it. May be called once for each."""
        if code not in self._viewers:
            return
        self._news[code] = max(seq, self._news.get(code, 0))
        if code not in self._rounds:
            self._rounds[code] = asyncio.create_task(self._tell(code))

    async def _tell(self, code: str) -> None:
        try:
            while code in self._news:
                seq = self._news.pop(code)
                with suppress(Exception):  # whoever is woken meets the same error, and says so
                    await self.head(code, seq)
                began = time.monotonic()
                await self._wake(code)
                self._took[code] = time.monotonic() - began
        finally:
            del self._rounds[code]

    async def _wake(self, code: str) -> None:
        for number, wake in enumerate(tuple(self._viewers.get(code, ())), 1):
            wake()
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def interval(self, code: str) -> float:
        """Seconds from one reading to the next: the longer, the longer it took to tell everybody of the last one."""
        viewers = len(self._viewers.get(code, ()))
        return max(INTERVAL_OF_MANY if viewers > MANY else INTERVAL, self._took.get(code, 0.0) / SHARE)

    async def newest(self, code: str) -> Head | None:
        """What was read a moment ago, as it was for everybody who was woken; else what is read now.

        Who is woken late in a round does not wait for what was heard meanwhile: another round follows for that.
        """
        known = self._heads.get(code)
        if known and time.monotonic() - known.read_at < self.interval(code):
            return known
        return await self.head(code)

    async def head(self, code: str, at_least: int = 0) -> Head | None:
        """The job's newest state, read now unless that was done a moment ago; None when the job is gone."""
        head = await self._reading.get(code)
        if head and head.seq < at_least:
            # That reading had begun before the number that woke the viewer was stored.
            head = await self._reading.get(code)
        return head

    async def _read(self, code: str) -> Head | None:
        before = self._heads.get(code)
        if before:
            await asyncio.sleep(max(0.0, before.read_at + self.interval(code) - time.monotonic()))
        head = await in_reader(read_head, code, before)
        if head and code in self._viewers:
            self._heads[code] = head
        elif not head:
            self._heads.pop(code, None)
        return head


hub = Hub()


# The list


def shown_rows(person: Any, codes: frozenset[str] = frozenset()) -> list[ListRow]:
    """The rows of the person's newest jobs, which the first page of their list shows, and of those called `codes`."""
    jobs = Job.objects.visible_to(person)
    keys = list(jobs.order_by("-created", "-pk").values_list("pk", flat=True)[:LISTED])
    return rows_of(jobs.filter(Q(pk__in=keys) | Q(code__in=codes)))


def shared_codes(person: Any, codes: frozenset[str]) -> list[str]:
    """Of the newest jobs that are shared with the person, and of those called `codes`: as many as two pages show."""
    shared = Job.objects.present().filter(shares__person=person)
    newest = shared.order_by("-created", "-pk").values_list("code", flat=True)[:LISTED]
    return [*newest, *shared.filter(code__in=codes).values_list("code", flat=True)]


def rows_of(jobs: JobQuerySet) -> list[ListRow]:
    around = SystemStatus()
    return [list_row(job, around) for job in listed(jobs)]


async def _read_rows(codes: frozenset[str]) -> dict[str, ListRow]:
    rows = await in_reader(lambda: rows_of(Job.objects.filter(code__in=codes)))
    return {row["code"]: row for row in rows}


_rows: Reading[frozenset[str], dict[str, ListRow]] = Reading(_read_rows)


async def changed_rows(changed: dict[str, int]) -> list[ListRow]:
    """The rows of jobs (code → number it has reached), read once for everybody who asks for the same ones."""
    rows = await _rows.get(frozenset(changed))
    if any(code in rows and rows[code]["seq"] < seq for code, seq in changed.items()):
        rows = await _rows.get(frozenset(changed))
    return list(rows.values())


class Glances:
    """What stands above the list, read for everybody who sees the same jobs, and at most once a second."""

    def __init__(self) -> None:
        self._known: dict[int | None, tuple[float, dict[str, Any]]] = {}
        self._reading: Reading[int | None, dict[str, Any]] = Reading(self._read)

    async def get(self, owner: int | None) -> dict[str, Any]:
        read_at, seen = self._known.get(owner, (0.0, {}))
        return seen if seen and time.monotonic() - read_at < GLANCE else await self._reading.get(owner)

    async def _read(self, owner: int | None) -> dict[str, Any]:
        seen = await in_reader(glance, owner)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[owner] = time.monotonic(), seen
        return seen


glances = Glances()
