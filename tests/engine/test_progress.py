from __future__ import annotations

import io
import os
import threading
from typing import Any

import pytest
from tqdm import tqdm

from jobs.engine.progress import ConsoleBar, Feed


def lock_of(bar: Any) -> Any:
    return bar.get_lock()


def test_it_hands_its_numbers_on() -> None:
    shown: list[Any] = []
    feed = Feed(shown.append, total=10, initial=2)
    feed.update(3)
    feed.refresh()
    assert (shown[-1]["n"], shown[-1]["total"], shown[-1]["initial"]) == (5, 10, 2)
    feed.close()


def test_it_tells_elapsed_time_and_rate() -> None:
    shown: list[Any] = []
    feed = Feed(shown.append, total=10)
    feed.refresh()
    assert {"elapsed", "rate"} <= shown[-1].keys()
    feed.close()


def test_it_shows_the_last_numbers_when_closed_and_only_once() -> None:
    shown: list[Any] = []
    feed = Feed(shown.append, total=2)
    feed.update(2)
    feed.close()
    count = len(shown)
    feed.close()
    assert (shown[-1]["n"], len(shown)) == (2, count)


def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    feed = Feed(lambda numbers: None, total=2)
    feed.update(2)
    feed.refresh()
    feed.close()
    assert capfd.readouterr() == ("", "")


def test_it_raises_nothing_inside_display() -> None:
    def fail(numbers: Any) -> None:
        raise OSError("the layer is gone")

    feed = Feed(fail, total=1)
    feed.refresh()
    feed.close()


def test_it_leaves_the_lock_free_after_a_failure() -> None:
    feed = Feed(lambda numbers: numbers["missing"], total=1)
    feed.refresh()
    free: list[bool] = []

    def look() -> None:
        free.append(lock_of(Feed).acquire(timeout=1))
        lock_of(Feed).release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert free == [True]


@pytest.mark.parametrize("bar", [lambda: Feed(lambda numbers: None), lambda: ConsoleBar(file=io.StringIO())])
def test_it_starts_no_monitor_thread(bar: Any) -> None:
    before = set(threading.enumerate())
    with bar():
        assert set(threading.enumerate()) == before


def test_it_takes_no_line_of_the_console() -> None:
    with Feed(lambda numbers: None), ConsoleBar(file=io.StringIO()) as bar:
        assert bar.pos == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_has_locks_of_its_own_after_a_fork() -> None:
    with lock_of(tqdm), lock_of(Feed):
        pid = os.fork()
        if pid == 0:
            free = []
            thread = threading.Thread(target=lambda: free.append(lock_of(tqdm).acquire(True)))
            thread.start()
            thread.join(2)
            os._exit(0 if free else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
