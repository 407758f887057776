"""What is logged during an attempt stays with it, whichever logger it goes through."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jobs.engine import Attempt, Policy, context, run
from tests.engine import work

logger = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def talkative() -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def logged(process: Callable[[Any], Any], count: int = 1, **policy: Any) -> list[str]:
    return [attempt.log for attempt in run(((at, at) for at in range(count)), process, Policy(**policy))]


def test_it_keeps_what_libraries_log() -> None:
    assert logged(lambda at: logger.info("row %d", at)) == ["INFO some.library: row 0"]


def test_it_keeps_only_what_the_loggers_let_through() -> None:
    logger.setLevel(logging.ERROR)
    assert logged(lambda at: logger.warning("row %d", at)) == [""]


def test_it_keeps_nothing_below_info() -> None:
    logger.setLevel(logging.DEBUG)
    assert logged(lambda at: logger.debug("row %d", at)) == [""]


def test_it_keeps_both_in_their_order() -> None:
    def process(at: int) -> None:
        logger.info("one")
        context.current().logger.info("two")
        logger.warning("three")

    assert logged(process) == ["INFO some.library: one\nINFO two\nWARNING some.library: three"]


def test_it_keeps_what_each_attempt_logs_apart() -> None:
    barrier = threading.Barrier(4)

    def process(at: int) -> None:
        barrier.wait(10)
        logger.info("row %d", at)
        barrier.wait(10)
        logger.info("row %d again", at)

    found = {f"INFO some.library: row {at}\nINFO some.library: row {at} again" for at in range(4)}
    assert set(logged(process, 4, workers=4)) == found


def test_it_hears_nothing_outside_of_an_attempt() -> None:
    logged(lambda at: None)
    logger.info("nobody listens")
    assert logged(lambda at: None) == [""]


def test_it_hears_coroutines() -> None:
    async def talk() -> None:
        await asyncio.sleep(0)
        logger.info("from a coroutine")

    assert logged(lambda at: asyncio.run(talk())) == ["INFO some.library: from a coroutine"]


def test_it_keeps_the_log_of_a_failure() -> None:
    def process(at: int) -> None:
        logger.error("low on luck")
        raise ValueError

    assert logged(process) == ["ERROR some.library: low on luck"]


def test_it_keeps_the_log_of_an_attempt_that_takes_too_long() -> None:
    leave = threading.Event()

    def process(at: int) -> None:
        logger.info("begun")
        leave.wait(20)
        logger.info("too late")

    (attempt,) = run([(0, 0)], process, Policy(timeout=0.2))
    leave.set()
    assert (attempt.failure and attempt.failure.kind, attempt.log) == ("timeout", "INFO some.library: begun")


def test_it_keeps_a_log_short() -> None:
    def process(at: int) -> None:
        for number in range(5_000):
            logger.info("line %d of a very talkative library", number)

    (log,) = logged(process)
    assert 15_000 < len(log.encode()) <= 16_000


@contextmanager
def written() -> Iterator[io.StringIO]:
    """What a handler of the logger writes meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)


def test_it_leaves_the_output_as_it_is() -> None:
    with written() as stream:
        logged(lambda at: logger.info("row %d", at), 2)
    assert sorted(stream.getvalue().splitlines()) == ["row 0", "row 1"]


def test_it_leaves_a_traceback_to_those_who_write_it() -> None:
    """How it was written here is no matter of theirs: they may have secrets to blot out."""

    class Formatter(logging.Formatter):
        def formatException(self, info: Any) -> str:  # noqa: N802
            return "blotted out"

    def process(at: int) -> None:
        try:
            raise ValueError(at)
        except ValueError:
            logger.exception("no")

    with written() as stream:
        logger.handlers[-1].setFormatter(Formatter())
        (log,) = logged(process)
    assert (stream.getvalue(), "ValueError: 0" in log) == ("no\nblotted out\n", True)


def test_it_adds_no_handler() -> None:
    before = list(logging.root.handlers)
    logged(lambda at: logger.info("x"))
    assert logging.root.handlers == before


def test_it_listens_once_however_many_listen() -> None:
    made = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **kwargs: made(*args, **kwargs))
    try:
        assert logged(lambda at: logger.info("row")) == ["INFO some.library: row"]
    finally:
        logging.setLogRecordFactory(made)


def test_it_forgives_a_line_that_cannot_be_written() -> None:
    class Mute:
        def __str__(self) -> str:
            raise ValueError

        __repr__ = __str__

    def process(at: int) -> str:
        logging.getLogger("some.library").info(Mute())
        return "fine"

    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        (attempt,) = run([(0, 0)], process, Policy())
    finally:
        logging.raiseExceptions = before
    assert attempt.value == "fine"


def test_it_bears_records_without_a_level() -> None:
    def process(at: int) -> str:
        return logging.makeLogRecord({"msg": "from afar"}).getMessage()

    (attempt,) = run([(0, 0)], process, Policy())
    assert (attempt.value, attempt.log) == ("from afar", "")


def in_child(payload: str) -> Attempt:
    (attempt,) = run([(0, payload)], work.act, Policy(workers=1), executor="process")
    return attempt


def test_it_keeps_what_libraries_log_in_a_child() -> None:
    assert in_child("library:hello").log == "INFO some.library: hello"


def test_it_lets_through_in_a_child_what_the_parent_does() -> None:
    logger.setLevel(logging.ERROR)
    assert in_child("library:hello").log == ""


def test_it_costs_nothing_where_nothing_is_logged() -> None:
    """There is nothing to measure: no code of ours runs unless a record is made."""
    logged(lambda at: None)
    made = logging.getLogRecordFactory()
    asked: list[float] = []

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        asked.append(time.monotonic())
        return made(*args, **kwargs)

    logging.setLogRecordFactory(factory)
    try:
        logged(lambda at: logger.debug("not let through"), 100)
    finally:
        logging.setLogRecordFactory(made)
    assert asked == []
