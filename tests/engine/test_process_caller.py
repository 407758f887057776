from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from jobs.engine import Attempt, Failure, Policy, Pulse, run
from tests.engine import work

ROOT = Path(__file__).resolve().parents[2]


def act(*orders: str, policy: Policy | None = None) -> dict[int, Attempt]:
    """What comes of orders to children, by position."""
    policy = policy or Policy(workers=2)
    return {attempt.position: attempt for attempt in run(enumerate(orders), work.act, policy, executor="process")}


def failure_of(order: str) -> Failure:
    failure = act(order, policy=Policy(workers=1))[0].failure
    assert failure is not None
    return failure


def children() -> list[psutil.Process]:
    """The children of this run; other tests may have servers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "jobs.engine.process_child" in process.cmdline():
                found.append(process)
    return found


def runs(process: psutil.Process) -> bool:
    """Whether it is more than an entry that nobody has collected yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_finds_what_threads_find() -> None:
    attempts = run(enumerate(range(100)), work.double, Policy(workers=2), executor="process")
    assert {attempt.position: attempt.value for attempt in attempts} == {n: n * 2 for n in range(100)}


def test_it_runs_in_other_processes() -> None:
    attempts = run(enumerate(range(20)), work.whoami, Policy(workers=2), executor="process")
    pids = {attempt.value for attempt in attempts}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_it_leaves_the_processor_to_its_parent_first() -> None:
    [attempt] = run([(0, 0)], work.niceness, Policy(), executor="process")
    assert attempt.value == min(19, os.nice(0) + 5)


def test_it_brings_failures_back_as_text() -> None:
    failure = failure_of("raise:ValueError")
    assert (failure.kind, failure.message) == ("ValueError", "bad")
    assert "work.py" in failure.trace
    assert "child.py" not in failure.trace


def test_it_survives_exceptions_that_cannot_be_unpickled() -> None:
    assert failure_of("raise:Spoilt").message == "ab"


def test_it_keeps_the_kind_that_an_exception_names() -> None:
    assert failure_of("raise:Named").kind == "quota"


def test_it_fails_an_item_whose_result_cannot_be_pickled() -> None:
    attempts = act("unpicklable", "ok:1")
    assert attempts[0].failure is not None
    assert attempts[1].value == "1"


def test_it_fails_an_item_that_cannot_be_pickled() -> None:
    first, second = run([(0, lambda: 1), (1, 2)], work.double, Policy(workers=1), executor="process")
    assert first.failure is not None
    assert second.value == 4


def test_it_refuses_a_function_that_no_child_can_import() -> None:
    with pytest.raises(TypeError, match="importable"):
        run([], lambda payload: payload, Policy(), executor="process")


def test_it_tells_of_an_exit() -> None:
    failure = failure_of("exit:3")
    assert (failure.kind, failure.message) == ("worker died", "The worker process ended with exit status 3.")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_it_tells_of_a_signal(name: str) -> None:
    number = signal.Signals[name].value
    failure = failure_of(f"signal:{number}")
    assert failure.kind == "worker died"
    assert failure.message == f"The worker process was killed by signal {number} ({name})."


def test_it_fails_the_killer_alone() -> None:
    attempts = act(*["ok:1"] * 10, "segfault", *["ok:1"] * 10, "exit:0", *["ok:1"] * 10)
    assert {position for position, attempt in attempts.items() if attempt.failure} == {10, 21}
    assert len(attempts) == 32


def test_it_takes_sys_exit_as_a_failure() -> None:
    assert failure_of("sysexit").kind == "SystemExit"


def test_it_kills_what_hangs() -> None:
    pulses: list[Pulse] = []
    policy = Policy(workers=1, timeout=0.3)
    attempts = list(run(enumerate(["hang", "ok:1"]), work.act, policy, executor="process", beat=pulses.append))
    assert [attempt.failure and attempt.failure.kind for attempt in attempts] == ["timeout", None]
    assert attempts[0].seconds >= 0.3
    assert (pulses[-1].lost, children()) == (0, [])


def test_it_does_not_count_the_start_of_a_child() -> None:
    assert act("ok:1", policy=Policy(workers=1, timeout=0.1))[0].failure is None


def test_it_kills_what_a_hung_item_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    act(f"offspring:{note}", policy=Policy(workers=1, timeout=0.5))
    time.sleep(0.1)
    pid = int(note.read_text())
    assert not psutil.pid_exists(pid) or not runs(psutil.Process(pid))


def test_it_replaces_a_child_that_is_killed_between_items() -> None:
    attempts = run(enumerate(range(3)), work.whoami, Policy(workers=1, rate=4), executor="process")
    first = next(attempts)
    os.kill(first.value, signal.SIGKILL)
    time.sleep(0.1)
    rest = list(attempts)
    assert sum(attempt.failure is not None for attempt in rest) <= 1
    assert rest[-1].value != first.value


def test_it_keeps_prints_out_of_the_protocol_and_the_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert act("print:hello")[0].failure is None
    out, _ = capfd.readouterr()
    assert out == ""


def test_it_keeps_the_log() -> None:
    assert act("log:hello")[0].log == "INFO hello"


def test_it_lets_a_child_ask_to_wait(tmp_path: Path) -> None:
    attempts = list(run([(0, f"once:{tmp_path / 'flag'}")], work.act, Policy(workers=1), executor="process"))
    assert [attempt.failure and attempt.failure.kind for attempt in attempts] == ["throttled", None]
    assert [attempt.number for attempt in attempts] == [1, 1]


def test_it_tries_again_after_a_death() -> None:
    policy = Policy(workers=1, attempts=2, backoff=0.01, retry_on=("worker died",))
    attempts = list(run([(0, "exit:1")], work.act, policy, executor="process"))
    assert [attempt.number for attempt in attempts] == [1, 2]


def test_it_leaves_no_process_thread_or_descriptor_after_a_hundred_runs() -> None:
    def state() -> tuple[int, int, int]:
        return len(children()), threading.active_count(), len(os.listdir("/proc/self/fd"))

    def once(number: int) -> None:
        orders = ("ok:1", "exit:1", "ok:2", "hang") if number % 20 == 0 else ("ok:1",)
        act(*orders, policy=Policy(workers=1, timeout=0.3))

    before = state()
    with ThreadPoolExecutor(4) as side_by_side:
        list(side_by_side.map(once, range(100)))
    assert state() == before


def test_it_kills_its_children_when_closed_early() -> None:
    attempts = run(enumerate(["ok:1", "hang", "hang"]), work.act, Policy(workers=2), executor="process")
    next(attempts)
    attempts.close()  # by themselves they would never end
    assert children() == []


def script(path: Path, text: str) -> subprocess.Popen[str]:
    path.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_runs_functions_of_a_script(tmp_path: Path) -> None:
    with script(
        tmp_path / "square.py",
        """
        from jobs.engine import batch_process_parallel
        def square(number):
            return number ** 2
        if __name__ == "__main__":
            print(batch_process_parallel([1, 2, 3], square, 2, executor="process"))
        """,
    ) as process:
        out, _ = process.communicate(timeout=20)
    assert out == "[1, 4, 9]\n"


def test_it_works_inside_a_daemonic_process(tmp_path: Path) -> None:
    with script(
        tmp_path / "daemonic.py",
        """
        import billiard, sys
        from jobs.engine import batch_process_parallel
        def work(queue):
            assert billiard.current_process().daemon
            queue.put(batch_process_parallel([1, -2], abs, 2, executor="process"))
        if __name__ == "__main__":
            context = billiard.get_context("fork")
            queue = context.SimpleQueue()
            process = context.Process(target=work, args=(queue,), daemon=True)
            process.start()
            print(queue.get())
            process.join()
        """,
    ) as process:
        out, err = process.communicate(timeout=20)
    assert out == "[1, 2]\n", err


def test_it_takes_its_children_along_when_it_is_killed(tmp_path: Path) -> None:
    with script(
        tmp_path / "victim.py",
        """
        import os
        from jobs.engine import Policy, run
        from tests.engine import work
        attempts = run(enumerate([0, 3600, 3600]), work.spin, Policy(workers=2), executor="process")
        next(attempts)
        print("running", flush=True)
        next(attempts)
        """,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        offspring = psutil.Process(process.pid).children()
        assert offspring
        process.kill()
    deadline = time.monotonic() + 60
    while any(map(runs, offspring)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, offspring))


def test_it_works_side_by_side() -> None:
    first, second = run(enumerate([0.5] * 2), work.spin, Policy(workers=2), executor="process")
    # Both were busy on a processor, and the later one began before the earlier one was through.
    assert second.started < first.started + first.seconds
    assert first.started < second.started + second.seconds


def test_it_counts_no_loading_as_the_first_items_time() -> None:
    (attempt,) = run([(0, 0)], work.SlowToLoad(), Policy(workers=1), executor="process")
    assert attempt.value < attempt.started
