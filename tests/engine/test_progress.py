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


def free(bar: Any) -> bool:
    """Whether another thread could draw."""
    found: list[bool] = []

    def look() -> None:
        with lock_of(bar):
            found.append(True)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(2)
    return bool(found)


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
    assert free(Feed)


@pytest.mark.parametrize("bar", [lambda: Feed(lambda numbers: None), lambda: ConsoleBar(file=io.StringIO())])
def test_it_starts_no_monitor_thread(bar: Any) -> None:
    before = set(threading.enumerate())
    with bar():
        assert set(threading.enumerate()) == before


class Clock:
    """The time of a bar."""

    def __init__(self, bar: Any) -> None:
        self.now = bar.start_t
        bar._time = lambda: self.now


def bar_on(output: io.StringIO, **options: Any) -> tuple[Any, Clock]:
    bar: Any = ConsoleBar(file=output, **options)
    return bar, Clock(bar)


def test_it_leaves_what_was_done_before_out_of_the_rate() -> None:
    bar, clock = bar_on(io.StringIO(), total=1000, initial=900)
    clock.now += 10
    bar.show(920)
    assert round(bar.format_dict["n"] - bar.format_dict["initial"]) == 20
    assert "2.00it/s" in str(bar)
    bar.close()


def test_it_hears_the_slow_items_after_a_burst() -> None:
    bar, clock = bar_on(io.StringIO(), total=20_000)
    clock.now += 0.25
    bar.show(10_000)
    for n in range(10_001, 10_041):
        clock.now += 1
        bar.show(n)
    assert "1.00it/s" in str(bar)
    bar.close()


def test_it_moves_its_clock_in_quiet_times_once_a_second() -> None:
    output = io.StringIO()
    bar, clock = bar_on(output, total=2)
    for _ in range(12):
        clock.now += 0.25
        bar.show(0)
    assert output.getvalue().count("\r") == 4
    assert "00:03" in output.getvalue()
    bar.close()


def test_it_counts_back_when_less_is_done_than_was() -> None:
    bar, clock = bar_on(io.StringIO(), total=10, initial=10)
    clock.now += 1
    bar.show(7)
    assert "7/10" in str(bar)
    bar.close()


def test_it_prints_above_the_bar_and_draws_it_again(capfd: pytest.CaptureFixture[str]) -> None:
    with ConsoleBar(total=3) as bar:
        bar.say("one\ntwo")
    err = capfd.readouterr().err
    assert "one\ntwo\n" in err
    assert err.index("two") < err.rindex("0/3")


def test_it_prints_nothing_that_moves_the_cursor(capfd: pytest.CaptureFixture[str]) -> None:
    with ConsoleBar(total=3, desc="a\x1b[2Jb\rc\nd") as bar:
        bar.say("x\r\x1b[1Ay")
    err = capfd.readouterr().err
    assert "\x1b" not in err
    assert "x\ufffd\ufffd[1Ay\n" in err
    assert "a\ufffd[2Jb\ufffdc\ufffdd:" in err


def test_it_is_quiet_when_switched_off(capfd: pytest.CaptureFixture[str]) -> None:
    with ConsoleBar(total=3, disable=True) as bar:
        bar.show(2)
    assert capfd.readouterr() == ("", "")


def test_it_goes_from_below_another_bar() -> None:
    output = io.StringIO()
    with ConsoleBar(total=3, desc="outer", file=output):
        with ConsoleBar(total=3, desc="inner", file=output) as inner:
            inner.show(3)
        shown = output.getvalue()
    assert not shown[shown.rindex("inner") :].endswith("\n\n")
    assert output.getvalue().endswith("\n")


class Output(io.StringIO):
    broken = False

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize("way", ["made", "shown", "closed", "said"])
def test_it_lets_go_of_the_lock_when_it_cannot_draw(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output()
    output.broken = way == "made"
    monkeypatch.setattr("sys.stderr", output)
    bar: Any = ConsoleBar(total=3)
    output.broken = True
    {"made": bar.refresh, "shown": lambda: bar.show(1), "closed": bar.close, "said": lambda: bar.say("x")}[way]()
    assert free(tqdm)
    assert bar not in ConsoleBar._instances  # type: ignore[attr-defined]


def test_it_lets_go_of_the_lock_at_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, _ = bar_on(io.StringIO(), total=3)

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    bar.sp = interrupted
    with pytest.raises(KeyboardInterrupt):
        bar.refresh()
    assert free(tqdm)
    bar.disable = True


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
