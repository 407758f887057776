"""One reading for all viewers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast
from unittest.mock import patch

import pytest

from jobs.live import hub as live_hub
from jobs.live.hub import Head, Hub, Reading
from jobs.live.shapes import Frame


class Database:
    """Stands for the reader: what it would find, and how often it was asked."""

    def __init__(self) -> None:
        self.seq = 1
        self.reads = 0
        self.slow: asyncio.Event | None = None

    async def __call__(self, function: Any, code: str, before: Head | None) -> Head | None:
        self.reads += 1
        found = self.seq
        if self.slow:
            await self.slow.wait()
        return Head(code, cast("Frame", {"seq": found}), asyncio.get_running_loop().time()) if found else None


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    with patch.object(live_hub, "in_reader", made):
        yield made


@contextmanager
def watched(hub: Hub, code: str) -> Iterator[asyncio.Event]:
    """Somebody who watches the job, and is woken."""
    woken = asyncio.Event()
    hub.join(code, woken.set)
    try:
        yield woken
    finally:
        hub.leave(code, woken.set)


async def test_it_reads_once_for_all_who_ask_together(database: Database) -> None:
    hub = Hub()
    heads = await asyncio.gather(*(hub.head("a") for _ in range(500)))
    assert (database.reads, {head.seq for head in heads if head}) == (1, {1})


@pytest.mark.parametrize(
    ("viewers", "interval"), [(1, live_hub.INTERVAL), (live_hub.MANY + 1, live_hub.INTERVAL_OF_MANY)]
)
async def test_it_reads_now_and_then_for_many_less_often(database: Database, viewers: int, interval: float) -> None:
    hub, waits = Hub(), []
    for _ in range(viewers - 1):
        hub.join("a", asyncio.Event().set)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    clock = patch("jobs.live.hub.time.monotonic", lambda: 7.0)
    with watched(hub, "a"), patch("jobs.live.hub.asyncio.sleep", sleep), clock:
        for _ in range(4):
            head = await hub.head("a")
            assert head
            head.read_at = 7.0
    assert waits == pytest.approx([interval] * 3)


async def test_it_reads_again_for_who_was_woken_by_something_newer(database: Database) -> None:
    hub, database.slow = Hub(), asyncio.Event()
    first = asyncio.create_task(hub.head("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    database.seq = 2  # stored while the reading is under way
    second = asyncio.create_task(hub.head("a", at_least=2))
    await asyncio.sleep(0)
    database.slow.set()
    found = await asyncio.gather(first, second)
    assert [head.seq for head in found if head] == [1, 2]


async def test_it_does_not_wait_for_ever_for_what_never_comes(database: Database) -> None:
    head = await Hub().head("a", at_least=99)
    assert head
    assert (head.seq, database.reads) == (1, 2)


async def test_it_keeps_nothing_of_jobs_that_nobody_watches(database: Database) -> None:
    hub = Hub()
    with watched(hub, "a"), watched(hub, "a"):
        await hub.head("a")
        assert list(hub._heads) == ["a"]
    await hub.head("a")
    assert not any((hub._heads, hub._viewers, hub._news, hub._took))


async def test_it_reads_once_for_all_whom_a_wakeup_reached_and_wakes_them(database: Database) -> None:
    hub = Hub()
    with watched(hub, "a") as one, watched(hub, "a") as other, watched(hub, "b") as elsewhere:
        for _ in range(2):
            hub.hear("a", 1)
        await asyncio.gather(one.wait(), other.wait())
        heads = [await hub.newest("a") for _ in range(2)]
        assert ([head.seq for head in heads if head], database.reads) == ([1, 1], 1)
        assert not elsewhere.is_set()


async def test_it_reads_again_for_a_wakeup_that_came_meanwhile(database: Database) -> None:
    hub, database.slow = Hub(), asyncio.Event()
    with watched(hub, "a") as woken, patch.object(live_hub, "INTERVAL", 0.0):
        hub.hear("a", 1)
        await asyncio.sleep(0.01)
        database.seq = 2
        hub.hear("a", 2)
        database.slow.set()
        while not (head := hub._heads.get("a")) or head.seq < 2:
            await asyncio.sleep(0)
        await woken.wait()


async def test_it_gives_what_was_read_though_something_newer_was_heard(database: Database) -> None:
    hub = Hub()
    with watched(hub, "a") as woken:
        hub.hear("a", 1)
        await woken.wait()
        database.seq = 2
        hub.hear("a", 2)
        head = await hub.newest("a")
        assert head
        assert (head.seq, database.reads) == (1, 1)


async def test_it_hears_nothing_of_jobs_that_nobody_watches(database: Database) -> None:
    hub = Hub()
    hub.hear("a", 1)
    await asyncio.sleep(0.01)
    assert (database.reads, hub._news, hub._rounds) == (0, {}, {})


async def test_it_wakes_those_who_must_know_that_nothing_can_be_read() -> None:
    async def broken(*args: Any) -> None:
        raise RuntimeError("gone")

    hub = Hub()
    with watched(hub, "a") as woken, patch.object(live_hub, "in_reader", broken):
        hub.hear("a", 1)
        await asyncio.wait_for(woken.wait(), 5)
        with pytest.raises(RuntimeError):
            await hub.newest("a")


async def test_it_lets_others_in_between_the_viewers_of_one_job(database: Database) -> None:
    hub = Hub()
    told: list[str] = []
    for _ in range(3 * live_hub.SLICE):
        hub.join("a", partial(told.append, "a"))
    waking = asyncio.create_task(hub._wake("a"))
    await asyncio.sleep(0)
    told.append("other")
    await waking
    assert told.index("other") == live_hub.SLICE


async def test_it_reads_the_less_often_the_longer_telling_takes(database: Database) -> None:
    hub = Hub()
    with watched(hub, "a"):
        before = hub.interval("a")
        hub._took["a"] = 1.0
        assert (before, hub.interval("a")) == (live_hub.INTERVAL, 1.0 / live_hub.SHARE)


async def test_it_says_that_a_job_is_gone(database: Database) -> None:
    database.seq = 0
    assert await Hub().head("a") is None


async def test_it_goes_on_reading_when_one_of_those_who_asked_leaves(database: Database) -> None:
    hub, database.slow = Hub(), asyncio.Event()
    tasks = [asyncio.create_task(hub.head("a")) for _ in range(2)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    await asyncio.sleep(0)
    database.slow.set()
    head = await tasks[1]
    assert head
    assert (head.seq, database.reads) == (1, 1)


async def test_it_passes_an_error_on_and_tries_again_later() -> None:
    answers: list[Any] = [RuntimeError("gone"), 5]

    async def read(key: str) -> int:
        await asyncio.sleep(0)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    reading = Reading(read)
    found = await asyncio.gather(reading.get("a"), reading.get("a"), return_exceptions=True)
    assert [str(one) for one in found] == ["gone", "gone"]
    assert await reading.get("a") == 5
