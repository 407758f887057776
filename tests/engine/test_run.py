from __future__ import annotations

import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.engine import Attempt, Policy, context, run
from tests.engine.work import Source


class Payload:
    """Something that can be watched going away."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I cannot be printed")


class Sticky(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("I cannot be pickled")


class Named(Exception):
    failure_kind = "not storable"


def values(attempts: Iterator[Attempt]) -> dict[int, Any]:
    return {attempt.position: attempt.value for attempt in attempts}


def test_it_yields_every_item_once() -> None:
    positions = [attempt.position for attempt in run(enumerate(range(1000)), str, Policy())]
    assert sorted(positions) == list(range(1000))


def test_it_keeps_value_and_position_together() -> None:
    assert values(run(enumerate(range(1000)), str, Policy())) == {n: str(n) for n in range(1000)}


def test_it_keeps_positions_as_they_are_given() -> None:
    assert values(run([(70, "a"), (7, "b")], str.upper, Policy())) == {70: "A", 7: "B"}


def test_it_yields_nothing_for_no_items() -> None:
    assert list(run([], str, Policy())) == []


def test_it_starts_no_thread_for_no_items() -> None:
    before = threading.active_count()
    seen: list[int] = []
    list(run(iter(()), str, Policy(), beat=lambda pulse: seen.append(threading.active_count())))
    assert seen == [before]


def test_it_starts_no_more_threads_than_items() -> None:
    before, seen = threading.active_count(), []
    for _ in run(enumerate(range(2)), str, Policy(workers=50)):
        seen.append(threading.active_count())
    assert max(seen) <= before + 2


def test_it_yields_quick_items_before_slow_ones() -> None:
    pause = threading.Event()
    attempts = run([(0, pause.wait), (1, int)], lambda act: act(), Policy(workers=2))
    assert next(attempts).position == 1
    pause.set()
    assert next(attempts).position == 0


def test_it_tells_when_and_how_long() -> None:
    before = time.time()
    (attempt,) = run([(0, 0.05)], time.sleep, Policy())
    after = time.time()
    assert before - 0.01 <= attempt.started <= after
    assert 0.05 <= attempt.seconds <= after - before + 0.01


@pytest.mark.parametrize(
    "error", [ValueError("x"), Mute(), Sticky(), SystemExit(1), KeyboardInterrupt(), GeneratorExit()]
)
def test_it_fails_one_item_alone(error: BaseException) -> None:
    def process(payload: int) -> int:
        if payload == 5:
            raise error
        return payload

    attempts = {attempt.position: attempt for attempt in run(enumerate(range(20)), process, Policy(workers=3))}
    failure = attempts.pop(5).failure
    assert failure is not None
    assert failure.kind == type(error).__name__
    assert all(attempt.value == position for position, attempt in attempts.items())


def test_it_survives_when_every_item_leaves() -> None:
    def process(payload: int) -> None:
        raise SystemExit

    assert len(list(run(enumerate(range(100)), process, Policy(workers=2)))) == 100


def test_it_tells_kind_message_and_trace() -> None:
    def process(payload: int) -> None:
        raise Named("no room")

    (attempt,) = run([(0, 1)], process, Policy())
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.message) == ("not storable", "no room")
    assert "raise Named" in attempt.failure.trace
    assert "calls.py" not in attempt.failure.trace


def test_it_pulls_items_in_the_callers_thread_only() -> None:
    threads = set()

    def items() -> Iterator[tuple[int, int]]:
        for position in range(200):
            threads.add(threading.current_thread())
            yield position, position

    list(run(items(), str, Policy(workers=4)))
    assert threads == {threading.current_thread()}


def test_it_pulls_few_items_ahead() -> None:
    stop = threading.Event()
    items = Source(10_000)
    attempts = run(items, lambda n: n if n == 0 else stop.wait(), Policy(workers=3))
    next(attempts)
    time.sleep(0.05)
    stop.set()
    attempts.close()
    assert items.pulled <= 5 * 3


@pytest.mark.parametrize(("size", "seconds", "bound"), [(20_000, 0.0, 1_001), (100, 0.02, 8 * 4)])
def test_it_holds_few_items_in_memory(size: int, seconds: float, bound: int) -> None:
    alive: weakref.WeakSet[Payload] = weakref.WeakSet()
    most = 0

    def items() -> Iterator[tuple[int, Payload]]:
        for position in range(size):
            payload = Payload()
            alive.add(payload)
            yield position, payload
            del payload

    for _ in run(items(), lambda payload: time.sleep(seconds) if seconds else None, Policy(workers=4)):
        most = max(most, len(alive))
    assert most <= bound


def test_it_takes_items_without_end() -> None:
    attempts = run(enumerate(count()), abs, Policy(workers=3))
    assert len({attempt.value for attempt in islice(attempts, 20_000)}) == 20_000
    attempts.close()


def test_it_forgets_the_last_items_too() -> None:
    payload = Payload()
    gone = weakref.ref(payload)
    stock = [(n, None) for n in range(49, 0, -1)] + [(0, payload)]
    items = (stock.pop() for _ in range(50))
    del payload
    attempts = run(items, lambda payload: None, Policy(workers=2))
    for _ in range(40):
        next(attempts)
    gc.collect()
    assert gone() is None
    attempts.close()


def test_it_begins_before_a_slow_source_is_pulled_far() -> None:
    pulled = []

    def items() -> Iterator[tuple[int, int]]:
        for position in range(30):
            time.sleep(0.02)
            pulled.append(position)
            yield position, position

    next(run(items(), str, Policy(workers=10)))
    assert len(pulled) <= 3


def test_it_works_on_while_the_caller_is_busy() -> None:
    done: list[int] = []
    attempts = run(enumerate(range(8)), done.append, Policy(workers=2))
    next(attempts)
    deadline = time.monotonic() + 5
    while len(done) < 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(done) >= 7
    assert len(list(attempts)) == 7


def test_it_raises_an_error_of_the_items_after_what_was_started() -> None:
    def items() -> Iterator[tuple[int, int]]:
        yield from enumerate(range(5))
        raise OSError("the file is gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="the file is gone"):
        seen.extend(attempt.position for attempt in run(items(), str, Policy(workers=2)))
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_it_raises_for_items_that_are_no_pairs() -> None:
    with pytest.raises(TypeError):
        list(run([1, 2], str, Policy()))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"process": None}, TypeError),
        ({"policy": 5}, TypeError),
        ({"items": None}, TypeError),
        ({"executor": "fork"}, ValueError),
    ],
)
def test_it_refuses_bad_arguments_at_once(changes: dict[str, Any], error: type[Exception]) -> None:
    arguments: dict[str, Any] = {"items": [], "process": str, "policy": Policy(), **changes}
    with pytest.raises(error):
        run(**arguments)


def test_it_carries_the_callers_context_into_threads() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    token = name.set("ada")
    try:
        assert values(run([(0, None)], lambda payload: name.get(), Policy())) == {0: "ada"}
    finally:
        name.reset(token)


def test_it_keeps_the_context_of_items_apart() -> None:
    name = contextvars.ContextVar("name", default=-1)

    def process(payload: int) -> int:
        before = name.get()
        name.set(payload)
        return before

    assert set(values(run(enumerate(range(50)), process, Policy(workers=1))).values()) == {-1}


def test_it_knows_the_attempt_that_runs() -> None:
    def process(payload: str) -> tuple[int, int]:
        return context.current().position, context.current().number

    assert values(run([(7, "a"), (8, "b", 2)], process, Policy())) == {7: (7, 1), 8: (8, 3)}


def test_it_knows_no_attempt_outside_of_one() -> None:
    with pytest.raises(LookupError):
        context.current()


def test_it_keeps_what_an_attempt_logs() -> None:
    def process(payload: int) -> None:
        context.current().logger.info("row %d", payload)
        context.current().logger.debug("done")

    assert {attempt.log for attempt in run(enumerate(range(2)), process, Policy())} == {
        "INFO row 0\nDEBUG done",
        "INFO row 1\nDEBUG done",
    }


def test_it_keeps_the_log_of_a_failure() -> None:
    def process(payload: int) -> None:
        context.current().logger.warning("low")
        raise ValueError

    assert next(run([(0, 0)], process, Policy())).log == "WARNING low"


def test_it_keeps_a_log_short() -> None:
    def process(payload: int) -> None:
        for number in range(5000):
            context.current().logger.info("line %d of a very talkative processor", number)

    (attempt,) = run([(0, 0)], process, Policy())
    assert 15_000 < len(attempt.log.encode()) <= 16_000


def test_it_forgives_a_bad_log_line() -> None:
    def process(payload: int) -> str:
        context.current().logger.info("two %s %s", 1)
        return "fine"

    (attempt,) = run([(0, 0)], process, Policy())
    assert attempt.value == "fine"
    assert "two %s %s" in attempt.log


def sequential(items: list[int], limit: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for position, payload in enumerate(items):
        found[position] = "ValueError" if payload % 7 == 0 else "SystemExit" if payload > limit else payload * 2
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 12), st.integers(0, 200))
def test_it_finds_what_a_loop_finds(items: list[int], workers: int, limit: int) -> None:
    def process(payload: int) -> int:
        if payload % 7 == 0:
            raise ValueError
        if payload > limit:
            raise SystemExit
        if payload % 5 == 0:
            time.sleep(0.0005)
        return payload * 2

    attempts = run(enumerate(items), process, Policy(workers=workers, timeout=30))
    found = {attempt.position: attempt.failure.kind if attempt.failure else attempt.value for attempt in attempts}
    assert found == sequential(items, limit)


def test_it_uses_its_whole_width() -> None:
    barrier = threading.Barrier(20, timeout=10)
    assert len(list(run(enumerate(range(60)), lambda payload: barrier.wait(), Policy(workers=20)))) == 60


def test_it_never_runs_wider() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def process(payload: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1

    list(run(enumerate(range(200)), process, Policy(workers=7)))
    assert most == 7
