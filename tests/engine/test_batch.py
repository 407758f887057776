from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.engine import batch_process_defensive, batch_process_large_dataset, batch_process_parallel
from tests.engine import work
from tests.engine.work import Source

BOTH = pytest.mark.parametrize(
    "batch", [batch_process_parallel, lambda *args, **named: list(batch_process_large_dataset(*args, **named))]
)


def shaky(number: int) -> int:
    time.sleep(random.random() / 500)
    return number * 2


def odd_fails(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def test_it_is_one_function_under_two_names() -> None:
    assert batch_process_defensive is batch_process_parallel


@BOTH
def test_it_returns_results_at_the_places_of_their_items(batch: Any) -> None:
    assert batch(list(range(300)), shaky, max_workers=20) == [number * 2 for number in range(300)]


@BOTH
def test_it_puts_none_where_an_item_failed(batch: Any) -> None:
    assert batch(range(4), odd_fails, max_workers=2) == [0, None, 2, None]


@BOTH
def test_it_puts_the_fallback_where_an_item_failed(batch: Any) -> None:
    assert batch(range(4), odd_fails, fallback_fn=lambda item, error: (item, str(error))) == [
        *(0, (1, "1 is odd")),
        *(2, (3, "3 is odd")),
    ]


@BOTH
def test_it_takes_any_iterable(batch: Any) -> None:
    for items in ((1, 2), iter([1, 2]), {1: 0, 2: 0}.keys(), (n for n in (1, 2))):
        assert batch(items, str) == ["1", "2"]


@BOTH
@pytest.mark.parametrize("items", ["text", b"bytes", bytearray(b"x"), {"a": 1}, None, 5])
def test_it_refuses_what_is_no_list_of_items(batch: Any, items: object) -> None:
    with pytest.raises(TypeError, match=r"items must be .*, not \w+\."):
        batch(items, str)


@BOTH
@pytest.mark.parametrize("workers", ["5", 2.0, True, [1]])
def test_it_refuses_workers_that_are_no_number(batch: Any, workers: object) -> None:
    with pytest.raises(TypeError, match="max_workers"):
        batch([1], str, max_workers=workers)


@BOTH
@pytest.mark.parametrize("workers", [0, -1])
def test_it_refuses_to_work_without_workers(batch: Any, workers: int) -> None:
    with pytest.raises(ValueError, match="max_workers"):
        batch([1], str, max_workers=workers)


@BOTH
def test_it_warns_of_many_workers(batch: Any) -> None:
    with pytest.warns(UserWarning, match="51 workers"):
        assert batch([1], str, max_workers=51) == ["1"]


@BOTH
@pytest.mark.parametrize("named", [{"process_fn": 1}, {"fallback_fn": 1}, {"timeout": "1"}])
def test_it_refuses_bad_arguments(batch: Any, named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(named))):
        batch([1], **{"process_fn": str, **named})


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError), (True, TypeError)])
def test_it_refuses_bad_sizes_before_the_first_result_is_asked_for(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="batch_size"):
        batch_process_large_dataset([1], str, batch_size=size)


def width(monkeypatch: pytest.MonkeyPatch, value: str | None) -> int:
    """How many workers a batch has."""
    if value is None:
        monkeypatch.delenv("MAX_WORKERS", raising=False)
    else:
        monkeypatch.setenv("MAX_WORKERS", value)
    lock, running, most = threading.Lock(), 0, 0

    def process(item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    batch_process_parallel(range(40), process)
    return most


def test_it_has_five_workers_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert width(monkeypatch, None) == 5


def test_it_takes_the_workers_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert width(monkeypatch, "3") == 3


@pytest.mark.parametrize("value", ["many", "0", "-2", "2.5"])
def test_it_refuses_a_bad_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAX_WORKERS", value)
    with pytest.raises(ValueError, match="MAX_WORKERS"):
        batch_process_parallel([1], str)


@BOTH
def test_it_returns_nothing_for_nothing(batch: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert batch([], str) == []
    assert batch(iter(()), str) == []
    assert capfd.readouterr() == ("", "")


@BOTH
def test_it_draws_a_bar_with_total_and_title(batch: Any, capfd: pytest.CaptureFixture[str]) -> None:
    batch(range(30), str, desc="Rewriting")
    out, err = capfd.readouterr()
    assert out == ""
    assert "Rewriting: 100%" in err
    assert "30/30" in err


def test_it_draws_a_bar_without_total_for_a_generator(capfd: pytest.CaptureFixture[str]) -> None:
    batch_process_parallel((n for n in range(30)), str)
    assert "30it" in capfd.readouterr().err


def test_it_draws_the_bar_while_it_works(capfd: pytest.CaptureFixture[str]) -> None:
    batch_process_parallel([0.3] * 4, time.sleep, 2)
    assert "2/4" in capfd.readouterr().err


def test_it_tells_which_items_failed(capfd: pytest.CaptureFixture[str]) -> None:
    batch_process_parallel(range(2), odd_fails)
    assert "Error processing item 1: ValueError: 1 is odd\n" in capfd.readouterr().err


def test_it_does_not_tell_a_hundred_thousand_times(capfd: pytest.CaptureFixture[str]) -> None:
    batch_process_parallel([1] * 300, odd_fails)
    err = capfd.readouterr().err
    assert err.count("Error processing") == 100
    assert "300 items failed" in err


def test_it_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    batch_process_parallel(range(20), str)
    assert threading.active_count() == before


def test_it_hands_the_exception_itself_to_the_fallback() -> None:
    error = ValueError("mine")

    def process(item: int) -> None:
        raise error

    (given_error,) = batch_process_parallel([1], process, fallback_fn=lambda item, caught: caught)
    assert given_error is error


@BOTH
def test_it_hands_a_timeout_error_to_the_fallback(batch: Any) -> None:
    (error,) = batch([0.6], time.sleep, timeout=0.1, fallback_fn=lambda item, caught: caught)
    assert type(error) is TimeoutError


@BOTH
@pytest.mark.parametrize("trouble", [KeyError("x"), SystemExit(2)])
def test_it_fails_one_item_when_its_fallback_fails(
    batch: Any, trouble: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    def fallback(item: int, error: BaseException) -> str:
        if item == 1:
            raise trouble
        return "instead"

    assert batch(range(4), odd_fails, fallback_fn=fallback) == [0, None, 2, "instead"]
    assert f"item 1: {type(trouble).__name__}" in capfd.readouterr().err


def test_it_raises_what_the_items_raise() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="gone"):
        batch_process_parallel(items(), str)


def test_it_gives_every_item_a_place_when_too_many_threads_hang() -> None:
    pause = threading.Event()
    results = batch_process_parallel(
        range(60), lambda item: pause.wait(), 4, timeout=0.05, fallback_fn=lambda item, error: (item, type(error))
    )
    pause.set()
    assert results == [(number, TimeoutError) for number in range(60)]


def test_it_runs_in_processes() -> None:
    assert batch_process_parallel([1, 2, 3], work.double, 2, executor="process") == [2, 4, 6]


@pytest.mark.parametrize(
    ("order", "error"), [("raise:ValueError", ValueError), ("exit:1", RuntimeError), ("raise:Spoilt", RuntimeError)]
)
def test_it_hands_a_like_exception_from_a_process(order: str, error: type[Exception]) -> None:
    (kind,) = batch_process_parallel(
        [order], work.act, 1, executor="process", fallback_fn=lambda item, error: type(error)
    )
    assert kind is error


def test_it_yields_while_it_works() -> None:
    pause = threading.Event()
    results = batch_process_large_dataset(range(3), lambda item: item if item < 2 else pause.wait(), max_workers=2)
    assert [next(results), next(results)] == [0, 1]
    pause.set()
    assert next(results) is True


def test_it_takes_endless_items() -> None:
    results = batch_process_large_dataset(itertools.count(), str, max_workers=3)
    assert list(itertools.islice(results, 500)) == [str(n) for n in range(500)]


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_it_runs_no_further_ahead_than_told(size: int) -> None:
    most: list[int] = []
    pause = threading.Event()

    def process(item: int) -> int:
        if item == 5:
            pause.wait(5)
            most.append(source.pulled)
        return item

    source = Source(1000)
    results = batch_process_large_dataset((item for _, item in source), process, size, 4)
    assert list(itertools.islice(results, 5)) == [0, 1, 2, 3, 4]
    threading.Timer(0.2, pause.set).start()
    assert next(results) == 5
    assert most[0] <= 5 + size
    assert list(results) == list(range(6, 1000))


def test_it_does_not_wait_for_a_batch_to_be_full() -> None:
    begun = time.monotonic()
    list(batch_process_large_dataset([0.2 if n % 10 == 0 else 0.0 for n in range(40)], time.sleep, 20, 5))
    assert time.monotonic() - begun < 0.6


def test_it_stops_its_threads_when_a_stream_is_closed() -> None:
    before = threading.active_count()
    results = batch_process_large_dataset(itertools.count(), str)
    next(results)
    results.close()
    assert threading.active_count() == before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=80), st.integers(1, 9), st.integers(1, 40))
def test_it_streams_what_a_loop_finds(items: list[int], workers: int, size: int) -> None:
    expected = [None if item % 2 else item for item in items]
    assert list(batch_process_large_dataset(items, odd_fails, size, workers)) == expected
    assert batch_process_parallel(items, odd_fails, workers) == expected
