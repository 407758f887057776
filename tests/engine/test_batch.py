from __future__ import annotations

import io
import itertools
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.engine import RetryLater, batch_process_defensive, batch_process_large_dataset, batch_process_parallel
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
def test_it_takes_what_has_items_by_number(batch: Any) -> None:
    class Numbered:
        def __getitem__(self, position: int) -> int:
            return [7, 8, 9][position]

    assert batch(Numbered(), str) == ["7", "8", "9"]


@BOTH
def test_it_believes_the_items_and_not_their_length(batch: Any) -> None:
    class Liar(list[int]):
        def __len__(self) -> int:
            return 10

    assert batch(Liar([1, 2]), str) == ["1", "2"]


def test_it_takes_more_items_than_can_be_counted() -> None:
    results = batch_process_large_dataset(range(10**30), str)
    assert next(results) == "0"
    results.close()


def test_it_takes_a_list_as_it_is_at_the_call() -> None:
    items = list(range(200))

    def process(item: int) -> int:
        items.clear()
        return item

    assert batch_process_parallel(items, process, 3) == list(range(200))


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


@pytest.mark.parametrize("batch", [batch_process_parallel, batch_process_large_dataset])
def test_it_points_at_the_line_that_asked_for_many_workers(batch: Any) -> None:
    with pytest.warns(UserWarning, match="workers") as warned:
        batch([], str, max_workers=51)
    assert warned[0].filename == __file__


def test_it_finds_fifty_workers_fine() -> None:
    assert batch_process_parallel([1], str, 50) == ["1"]


@BOTH
@pytest.mark.parametrize("named", [{"process_fn": 1}, {"fallback_fn": 1}, {"timeout": "1"}, {"desc": 5}])
def test_it_refuses_bad_arguments(batch: Any, named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(named))):
        batch([1], **{"process_fn": str, **named})


@BOTH
def test_it_refuses_a_function_that_is_async(batch: Any) -> None:
    async def process(item: int) -> int:
        return item

    with pytest.raises(TypeError, match="process_fn is async"):
        batch([1], process)


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


def test_it_tells_how_many_fallbacks_stand_in(capfd: pytest.CaptureFixture[str]) -> None:
    batch_process_parallel(range(7), odd_fails, fallback_fn=lambda item, error: item)
    err = capfd.readouterr().err
    assert "3 of 7 items failed, and their fallbacks stand in.\n" in err
    assert "Error processing" not in err


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
@pytest.mark.parametrize("trouble", [KeyError("x"), SystemExit(2), GeneratorExit(), BaseException("odd")])
def test_it_fails_one_item_when_its_fallback_fails(
    batch: Any, trouble: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    def fallback(item: int, error: BaseException) -> str:
        if item == 1:
            raise trouble
        return "instead"

    assert batch(range(4), odd_fails, fallback_fn=fallback) == [0, None, 2, "instead"]
    told = f"item 1: ValueError: 1 is odd; and its fallback failed: {type(trouble).__name__}"
    assert told in capfd.readouterr().err


@BOTH
def test_it_waits_with_an_item_whose_service_asks_for_it(batch: Any) -> None:
    asked: list[int] = []

    def process(item: int) -> int:
        asked.append(item)
        if asked.count(item) == 1 and item == 1:
            raise RetryLater(0.01)
        return item

    assert batch(range(3), process, max_workers=1, fallback_fn=lambda item, error: error) == [0, 1, 2]


def test_it_keeps_no_error_that_came_too_late() -> None:
    ends, raised = threading.Event(), threading.Event()

    def process(item: int) -> int:
        if item == 0:
            ends.wait(5)
            raised.set()
            raise ValueError
        return item

    results: Any = batch_process_large_dataset(itertools.count(), process, timeout=0.1, fallback_fn=lambda *_: None)
    assert next(results) is None
    kept = results.gi_frame.f_locals["self"].errors
    ends.set()
    raised.wait(5)
    assert [next(results) for _ in range(500)] == list(range(1, 501))
    assert kept == {}
    results.close()


@pytest.mark.parametrize("where", ["items", "process", "fallback"])
def test_it_keeps_what_is_done_at_ctrl_c(where: str) -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        batch_process_parallel(_interrupting(where), odd_fails, 1, fallback_fn=_interrupted(where))
    done = stopped.value.done  # type: ignore[attr-defined]
    assert done.items() >= {0: 0, 1: 2}.items()


def _interrupting(where: str) -> Iterator[int]:
    for item in range(0, 1000, 2):
        yield item
        if item == 200:
            if where == "process":
                time.sleep(0.2)
                signal.raise_signal(signal.SIGINT)
            elif where == "items":
                raise KeyboardInterrupt
            yield 1


def _interrupted(where: str) -> Any:
    def fallback(item: int, error: BaseException) -> None:
        if where == "fallback":
            raise KeyboardInterrupt

    return fallback


def test_it_keeps_what_a_stream_has_not_yielded_at_ctrl_c() -> None:
    pause = threading.Event()

    def items() -> Iterator[int]:
        for item in range(5):
            yield item
            time.sleep(0.02)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        list(batch_process_large_dataset(items(), lambda item: item or pause.wait(5), max_workers=5))
    pause.set()
    assert stopped.value.done.items() >= {1: 1, 2: 2, 3: 3}.items()  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("items", [list(range(60)), (number for number in range(60))])
def test_it_says_how_many_it_left_out_because_threads_hang(items: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pause = threading.Event()
    results = batch_process_parallel(items, lambda item: pause.wait(), 4, timeout=0.05)
    pause.set()
    assert results == [None] * 60
    assert re.search(r"\d\d items were not attempted, because too many threads hang", capfd.readouterr().err)


def test_it_streams_a_place_for_every_item_when_too_many_threads_hang() -> None:
    pause = threading.Event()
    results = batch_process_large_dataset(range(60), lambda item: pause.wait(), max_workers=4, timeout=0.05)
    assert list(results) == [None] * 60
    pause.set()


def test_it_works_inside_another_batch() -> None:
    nested = batch_process_parallel(range(4), lambda n: batch_process_parallel(range(n), str, 2, desc="inner"), 3)
    assert nested == [[], ["0"], ["0", "1"], ["0", "1", "2"]]


def test_it_works_in_any_thread() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(batch_process_parallel(range(3), str)))
    thread.start()
    thread.join(5)
    assert found == ["0", "1", "2"]


def test_it_lets_an_item_take_its_time_without_a_timeout() -> None:
    assert batch_process_parallel([1], lambda item: threading.Event().wait(0.3), timeout=None) == [False]


def test_it_survives_an_error_output_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    for output in (Gone(), None):
        monkeypatch.setattr("sys.stderr", output)
        assert batch_process_parallel(range(4), odd_fails) == [0, None, 2, None]


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
    later = threading.Event()

    def process(item: int) -> bool:
        if item == 19:
            later.set()
        return item > 0 or later.wait(30)

    # The first item ends only after the last of the twenty that may be under way, which others than its four
    # neighbours come to.
    assert all(batch_process_large_dataset(range(40), process, 20, 5))


def test_it_stops_its_threads_when_a_loop_is_left() -> None:
    before = threading.active_count()
    for result in batch_process_large_dataset(itertools.count(), str):
        if result == "7":
            break
    assert threading.active_count() == before


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
