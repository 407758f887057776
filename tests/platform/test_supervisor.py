from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchweb import lock
from batchweb.process import FIRST_SIGN, HEARTBEAT, Service
from batchweb.supervisor import NotReady, Supervisor
from tests.services import ROOT

STUBBORN = "trap '' TERM INT HUP; echo up; while :; do sleep 0.1; done"
# A child whose own child leaves the session and ignores requests: only its environment tells where it belongs.
RUNAWAY = "setsid sh -c \"trap '' TERM; echo up; while :; do sleep 0.1; done\" & wait"
STEADY = "echo up; exec sleep 60"


def shell(name: str, script: str, **more: object) -> dict[str, object]:
    return {"name": name, "argv": ["sh", "-c", script], **more}


class Driven:
    """A running driver and what it has written so far."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self.output = output
        self.family: list[psutil.Process] = []

    def text(self) -> str:
        return self.output.read_text()

    def until(self, words: str, times: int = 1) -> None:
        wait(lambda: self.text().count(words) >= times, f"{words!r} in {self.text()!r}")

    def remember(self) -> None:
        """Notes all processes there are now, the runaway ones as well."""
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def guardians(self) -> list[psutil.Process]:
        found = []
        for one in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if "guardian.py" in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def left(self) -> list[str]:
        return [str(one) for one in self.family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def wait(true: Callable[[], object], what: str, within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@contextmanager
def driven(folder: Path, *services: dict[str, object]) -> Iterator[Driven]:
    output = folder / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.platform.driver", folder, json.dumps(services)],
            cwd=ROOT, stdout=file, stderr=file, text=True, start_new_session=True,
        )  # fmt: skip
    run = Driven(process, output)
    try:
        run.until("all started")
        run.remember()
        yield run
    finally:
        # What was started again since then goes as well.
        if process.poll() is None:
            run.family += psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for one in run.family:
            if one.is_running():
                one.kill()


def test_it_starts_a_service_when_the_one_before_is_healthy() -> None:
    out, order = io.StringIO(), list[str]()

    def healthy(name: str) -> Callable[[], bool]:
        return lambda: not order.append(name) and len(order) > 1  # type: ignore[func-returns-value]

    with Supervisor(out=out) as supervisor:
        supervisor.start(Service("first", ["sleep", "60"], healthy=healthy("first")))
        supervisor.start(Service("second", ["sleep", "60"], healthy=healthy("second")))
    assert order == ["first", "first", "second"]


def test_it_gives_up_on_a_service_that_never_gets_healthy() -> None:
    service = Service("sick", ["sleep", "60"], healthy=lambda: False, start_within=0.2)
    with (
        Supervisor(out=io.StringIO()) as supervisor,
        pytest.raises(NotReady, match=r"sick did not get ready within 0\.2"),
    ):
        supervisor.start(service)


def test_it_forgets_a_service_that_is_dropped() -> None:
    with Supervisor(out=io.StringIO()) as supervisor:
        supervisor.start(Service("one", ["sleep", "60"]))
        supervisor.start(Service("two", ["sleep", "60"]))
        supervisor.drop("one")
        assert [child.service.name for child in supervisor.children] == ["two"]


class Clock:
    """Goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A supervisor whose child gives signs of life, or none, while its clock is turned by hand."""

    def __init__(self, script: str, **more: Any) -> None:
        self.clock = Clock()
        self.out = io.StringIO()
        self.supervisor = Supervisor(out=self.out, clock=self.clock)
        self.service = Service("web", ["sh", "-c", script], **more)

    def __enter__(self) -> Watched:
        self.supervisor.__enter__()
        self.supervisor.start(self.service)
        (self.child,) = self.supervisor.children
        assert self.child.process
        self.first = self.child.process
        return self

    def __exit__(self, *error: Any) -> None:
        self.supervisor.__exit__(*error)

    def turn(self, seconds: float, step: float = 1.0) -> None:
        """Lets so much time pass, looking at the child each second."""
        for _ in range(int(seconds / step)):
            self.clock.now += step
            self.supervisor.turn(0)

    def heard(self) -> bool:
        """Looks once more, and whether the child has given a sign of life by now."""
        self.supervisor.turn(0.02)
        return self.first.limit == self.service.silent_within

    def ended(self) -> bool:
        self.supervisor.turn(0.02)
        return self.child.process is not self.first


# Its number may have two digits, which not every shell takes behind >&.
BEATS = f"printf . > /dev/fd/${HEARTBEAT}; exec sleep 60"


def test_it_replaces_a_child_that_gives_no_more_sign_of_life() -> None:
    with Watched(BEATS, silent_within=30) as watched:
        wait(watched.heard, "a sign of life")
        watched.turn(29)
        assert not watched.first.deadline
        watched.turn(3)
        assert "web has given no sign of life for 31 s; it is replaced" in watched.out.getvalue()
        wait(watched.ended, "its end")
        watched.turn(2)
        assert watched.child.running()


def test_it_replaces_a_child_that_is_stopped() -> None:
    with Watched(BEATS, silent_within=30) as watched:
        wait(watched.heard, "a sign of life")
        watched.first.popen.send_signal(signal.SIGSTOP)
        watched.turn(32)
        wait(watched.ended, "its end")


def test_it_gives_a_child_time_until_its_first_sign_of_life() -> None:
    with Watched("exec sleep 60", silent_within=30) as watched:
        watched.turn(FIRST_SIGN)
        assert watched.first.running()
        watched.turn(2)
        wait(watched.ended, "its end")


def test_it_blames_no_child_when_the_machine_slept() -> None:
    with Watched(BEATS, silent_within=30) as watched:
        wait(watched.heard, "a sign of life")
        watched.turn(3600, step=3600)
        watched.turn(29)
        assert watched.first.running()
        assert watched.out.getvalue() == ""


def test_it_lets_a_child_be_silent_that_gives_no_signs() -> None:
    with Watched("exec sleep 60") as watched:
        watched.turn(1000)
        assert watched.first.running()


def test_it_replaces_a_child_that_takes_too_much_memory() -> None:
    script = f"exec {sys.executable} -c 'import time; x = bytearray(80_000_000); time.sleep(60)'"
    with Watched(script, memory_mb=70, stop_within=5) as watched:
        wait(watched.ended, "its end")
        log = watched.out.getvalue()
        assert "MB, more than 70 MB; it is replaced" in log
        assert "web was ended by SIGTERM; it starts again in 1 s" in log


def test_it_kills_a_child_that_takes_too_much_memory_and_does_not_stop() -> None:
    large = "import signal, time; signal.signal(15, lambda *_: 0); x = bytearray(80_000_000)"
    script = f"exec {sys.executable} -c '{large}; [time.sleep(1) for _ in range(60)]'"
    with Watched(script, memory_mb=70, stop_within=5) as watched:
        wait(lambda: watched.supervisor.turn(0.02) or watched.first.deadline, "that it is asked to end")  # type: ignore[func-returns-value]
        watched.turn(5)
        assert watched.first.running()
        watched.turn(1)
        wait(watched.ended, "its end")
        assert "web was ended by SIGKILL" in watched.out.getvalue()


def test_it_makes_files_of_children_private(tmp_path: Path) -> None:
    with Supervisor(out=io.StringIO()) as supervisor:
        supervisor.start(Service("one", ["sh", "-c", f"mkdir {tmp_path}/d; echo > {tmp_path}/f; exec sleep 60"]))
        wait((tmp_path / "f").exists, "its file")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "df"] == [0o700, 0o600]


def test_it_prefixes_the_lines_of_the_children(tmp_path: Path) -> None:
    with driven(tmp_path, shell("one", "echo first; echo second >&2; exec sleep 60")) as run:
        run.until("one     | first\none     | second\n")


def test_it_restarts_a_child_that_dies_and_says_so(tmp_path: Path) -> None:
    with driven(tmp_path, shell("frail", "echo up; sleep 0.3; exit 3")) as run:
        run.until("frail ended with exit status 3; it starts again in 1 s")
        run.until("frail   | up", times=2)


def test_it_restarts_a_child_that_is_killed(tmp_path: Path) -> None:
    with driven(tmp_path, shell("frail", STEADY)) as run:
        run.until("frail   | up")
        next(one for one in run.family if one.name() == "sleep").kill()
        run.until("frail was ended by SIGKILL")
        run.until("frail   | up", times=2)


def test_it_ends_what_a_killed_child_has_started_elsewhere(tmp_path: Path) -> None:
    with driven(tmp_path, shell("parent", RUNAWAY)) as run:
        run.until("| up")
        run.remember()
        parent, *runaways = (one for one in run.family if "sleep 0.1" in " ".join(one.cmdline()))
        parent.kill()
        run.until("parent was ended by SIGKILL")
        wait(lambda: not any(one.is_running() for one in runaways), "the end of the runaway")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_all_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    with driven(tmp_path, shell("one", STEADY), shell("two", STEADY, level=1)) as run:
        run.process.send_signal(number)
        assert run.process.wait(5) == 0
        assert run.left() == []


def test_it_stops_the_highest_level_first(tmp_path: Path) -> None:
    script = "trap 'echo stopping; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    services = [shell(name, script, level=level) for level, name in enumerate(("low", "middle", "high"))]
    with driven(tmp_path, *services) as run:
        run.until("| up", times=3)
        run.process.terminate()
        run.process.wait(5)
        stopped = [line.split()[0] for line in run.text().splitlines() if line.endswith("stopping")]
    assert stopped == ["high", "middle", "low"]


def test_it_kills_what_does_not_stop_in_its_time(tmp_path: Path) -> None:
    with driven(tmp_path, shell("stubborn", STUBBORN, stop_within=0.3)) as run:
        run.until("| up")
        run.process.terminate()
        assert run.process.wait(5) == 0
        assert run.left() == []


def test_it_kills_at_once_on_the_second_request(tmp_path: Path) -> None:
    with driven(tmp_path, shell("stubborn", STUBBORN, stop_within=60)) as run:
        run.until("| up")
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(5) == 0
        assert run.left() == []


def test_it_takes_two_signals_in_a_moment_for_one_request(tmp_path: Path) -> None:
    slow = "trap 'sleep 0.7; echo in peace; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    with driven(tmp_path, shell("slow", slow, stop_within=10)) as run:
        run.until("| up")
        run.process.terminate()
        run.process.terminate()
        run.process.wait(5)
        assert "in peace" in run.text()


def test_it_ends_a_grandchild_that_left_the_group(tmp_path: Path) -> None:
    with driven(tmp_path, shell("parent", RUNAWAY)) as run:
        run.until("| up")
        run.remember()
        run.process.terminate()
        assert run.process.wait(5) == 0
        assert run.left() == []


@pytest.mark.parametrize("script", [STEADY, STUBBORN, RUNAWAY], ids=["steady", "stubborn", "runaway"])
def test_it_leaves_nothing_when_it_is_killed(tmp_path: Path, script: str) -> None:
    with driven(tmp_path, shell("child", script)) as run:
        run.until("| up")
        run.remember()
        run.process.kill()
        wait(lambda: not run.left(), "the end of all children", within=5)


def test_it_leaves_nothing_when_its_guardian_was_killed_before(tmp_path: Path) -> None:
    with driven(tmp_path, shell("child", STUBBORN)) as run:
        run.until("| up")
        (guard,) = run.guardians()
        guard.kill()
        wait(lambda: run.guardians() not in ([], [guard]), "another guardian")
        run.remember()
        run.process.kill()
        wait(lambda: not run.left(), "the end of all children", within=5)


def test_it_lets_the_next_one_wait_until_all_is_tidy(tmp_path: Path) -> None:
    with driven(tmp_path, shell("child", STUBBORN)) as run:
        run.until("| up")
        run.process.kill()
        os.close(lock.hold(tmp_path / "tidy.lock", wait=5))
        assert run.left() == []
