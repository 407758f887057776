"""How a run ends, also when it is cut short: nothing is left behind, and nobody has to wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.engine import Policy, run
from jobs.engine.thread_caller import Here
from jobs.engine.threads import Worker

ROOT = Path(__file__).resolve().parents[2]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def script(text: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a script that may use the engine."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_it_leaves_no_thread_and_no_descriptor_after_a_hundred_runs() -> None:
    list(run(enumerate(range(50)), str, Policy(workers=8)))
    threads, before = threading.active_count(), descriptors()
    for _ in range(100):
        list(run(enumerate(range(50)), str, Policy(workers=8)))
    assert (threading.active_count(), descriptors()) == (threads, before)


def test_it_stops_its_threads_when_closed_early() -> None:
    before = threading.active_count()
    attempts = run(enumerate(range(1000)), str, Policy(workers=8))
    next(attempts)
    attempts.close()
    assert threading.active_count() == before


def test_it_starts_nothing_after_it_was_closed() -> None:
    started: list[int] = []

    def process(payload: int) -> None:
        started.append(payload)
        time.sleep(0.05)

    attempts = run(enumerate(range(1000)), process, Policy(workers=2))
    next(attempts)
    attempts.close()
    count = len(started)
    time.sleep(0.15)
    assert len(started) == count


def test_it_does_not_wait_for_busy_threads_when_closed() -> None:
    begun, free, left = threading.Event(), threading.Event(), threading.Event()

    def process(payload: int) -> None:
        if payload:
            begun.set()
            free.wait(60)
            left.set()
        else:
            begun.wait(60)

    attempts = run([(0, 0), (1, 1)], process, Policy(workers=2))
    next(attempts)
    attempts.close()
    assert not left.is_set()
    free.set()


def test_it_can_be_thrown_away_unused() -> None:
    before = threading.active_count()
    run(enumerate(range(10)), str, Policy())
    assert threading.active_count() == before


def test_it_lets_the_interpreter_exit_while_threads_hang() -> None:
    done = script("""
        import threading
        from jobs.engine import Policy, run
        for attempt in run(enumerate(range(3)), lambda payload: threading.Event().wait(), Policy(timeout=0.2)):
            print(attempt.failure.kind)
    """)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["timeout"] * 3, "")


def test_it_lets_the_interpreter_exit_in_the_middle_of_a_run() -> None:
    done = script("""
        import threading
        from jobs.engine import Policy, run
        attempts = run([(0, 0.0), (1, 3600.0)], threading.Event().wait, Policy(workers=2))
        print(next(attempts).position)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_it_lets_other_executors_finish_at_exit() -> None:
    done = script("""
        import threading, time
        from concurrent.futures import ThreadPoolExecutor
        from jobs.engine import Policy, run
        pool = ThreadPoolExecutor(1)
        pool.submit(lambda: (time.sleep(0.5), print("finished")))
        list(run([(0, 0)], lambda payload: threading.Event().wait(), Policy(timeout=0.1)))
    """)
    assert (done.returncode, done.stdout) == (0, "finished\n")


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_it_stops_at_ctrl_c_with_what_is_done(executor: str) -> None:
    text = f"""
        import os, signal, threading, time
        from jobs.engine import Policy, run
        def interrupt():
            os.kill(os.getpid(), signal.SIGINT)
        seen = []
        begun = time.monotonic()
        try:
            for attempt in run([(0, 0.0), (1, 60.0), (2, 60.0)], time.sleep, Policy(workers=2), executor="{executor}"):
                seen.append(attempt.position)
                threading.Timer(0.3, interrupt).start()
        except KeyboardInterrupt:
            print(seen, time.monotonic() - begun < 4)
    """
    done = script(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0] True\n", "")


def test_it_hands_out_what_is_done_before_ctrl_c_goes_on() -> None:
    def items() -> Iterator[tuple[int, int]]:
        yield 0, 0
        time.sleep(0.1)
        raise KeyboardInterrupt

    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(attempt.value for attempt in run(items(), str, Policy(workers=1)))
    assert seen == ["0"]


def test_it_keeps_the_callers_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    list(run(enumerate(range(5)), str, Policy()))
    assert signal.getsignal(signal.SIGINT) is before


def test_it_tells_of_a_thread_that_died_instead_of_waiting_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(caller: Here, worker: Worker) -> None:
        raise MemoryError("no room for what the thread does")

    monkeypatch.setattr(Here, "prepare", prepare)
    with pytest.raises(RuntimeError, match="thread of the batch has died") as told:
        list(run(enumerate(range(3)), str, Policy(workers=2)))
    assert isinstance(told.value.__cause__, MemoryError)
