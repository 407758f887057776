"""Children that read files: what they answer, each way in which they end, and that nothing of them stays."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from jobs.files import Partial, Unreadable
from jobs.ingest.sandbox import Budget, Failed, Sandbox, Slots

TASKS = "tests.ingest.sandbox.tasks"
SMALL = Budget(cpu=1, wait=60, memory=50_000_000, disk=1_000_000, output=1_000_000)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(TASKS, Slots(size=4, share=2, queue=1, timeout=30))
    yield made
    made.server.stop()


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as made:
        made.write(b"0123456789")
        made.seek(0)
        yield made


def until(true: Callable[[], Any]) -> None:
    """Waits for what must come, and for ever is too long."""
    for _ in range(3_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("It did not come.")


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def reason(sandbox: Sandbox, task: str, file: IO[bytes], budget: Budget = SMALL, **arguments: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        sandbox.call(task, file, budget, "ann", **arguments)
    return caught.value


class TestAnswers:
    def test_it_reads_a_file_by_its_descriptor(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        assert sandbox.call("echo", file, SMALL, "ann") == "0123456789"

    def test_it_reads_what_is_in_memory_only(self, sandbox: Sandbox) -> None:
        assert sandbox.call("echo", io.BytesIO(b"abc"), SMALL, "ann") == "abc"

    def test_it_goes_to_any_place_of_the_file(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        assert sandbox.call("seek", file, SMALL, "ann") == ["789", "12", 3]

    def test_it_leaves_the_owners_place_in_the_file(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        sandbox.call("echo", file, SMALL, "ann", size=5)
        assert (os.lseek(file.fileno(), 0, os.SEEK_CUR), file.read()) == (0, b"0123456789")

    def test_it_talks_back_and_forth(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("repeat", file, SMALL, "ann") as session:
            for said in ("a", ["\ud800", "ä\0"], {"x": None}):
                session.send(said)
                assert session.receive() == said

    def test_it_tells_everything_and_then_the_end(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("many", file, SMALL, "ann", count=500) as session:
            assert [session.receive() for _ in range(500)] == list(range(500))
            with pytest.raises(EOFError):
                session.receive()

    def test_it_hands_on_what_is_wrong_with_a_file(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with pytest.raises(Unreadable, match=r"^The file is empty\.$") as caught:
            sandbox.call("refuse", file, SMALL, "ann")
        assert type(caught.value) is Unreadable
        with pytest.raises(Partial):
            sandbox.call("defer", file, SMALL, "ann")

    def test_it_serves_several_at_once(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("repeat", file, SMALL, "ann") as first, sandbox.open("repeat", file, SMALL, "bob") as second:
            first.send(1)
            second.send(2)
            assert (second.receive(), first.receive()) == (2, 1)


class TestEnds:
    """Each way of dying has its code and its sentence."""

    def test_it_stops_what_computes_for_too_long(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("compute", file, SMALL, "ann") as session:
            session.receive()
            with pytest.raises(Failed, match="takes too long to look at: it was given up after 1 s") as caught:
                session.receive()
        assert caught.value.why == "time"

    def test_it_stops_what_only_waits(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("sleep", file, Budget(cpu=60, wait=5), "ann") as session:
            pid = session.receive()
            with pytest.raises(Failed) as caught:
                session.receive()
        assert caught.value.why == "time"
        assert not alive(pid)

    def test_it_does_not_count_the_time_that_its_owner_takes(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("repeat", file, Budget(wait=30), "ann") as session:
            left = session.seconds
            time.sleep(0.3)
            assert session.seconds == left

    def test_it_stops_what_takes_too_much_memory(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        assert "takes too much memory to look at: over 50 MB" in str(reason(sandbox, "grow", file))
        assert reason(sandbox, "grow_in_library", file).why == "memory"

    def test_it_stops_what_fills_the_disk(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        assert "unpacks to too much to look at: over 1 MB" in str(reason(sandbox, "fill", file))

    def test_it_stops_what_tells_too_much(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        assert "is too much: over 1 MB" in str(reason(sandbox, "shout", file))
        with sandbox.open("flood", file, SMALL, "ann") as session, pytest.raises(Failed) as caught:
            list(iter(session.receive, ""))
        assert caught.value.why == "output"

    def test_it_says_that_a_child_crashed(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        for task in ("crash", "fail", "leave_politely", "nothing"):
            assert "broke down over it" in str(reason(sandbox, task, file)), task

    def test_it_says_nothing_of_the_file_in_the_log(self, file: IO[bytes], capfd: pytest.CaptureFixture[str]) -> None:
        own = Sandbox(TASKS, Slots(4, 2, 1, 30))
        try:
            reason(own, "fail", file)
        finally:
            own.server.stop()
        said = capfd.readouterr().err
        assert "KeyError" in said
        assert "a cell of the file" not in said

    def test_it_lets_no_child_have_children(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        if os.geteuid() == 0:
            pytest.skip("root may start any number of processes")
        assert sandbox.call("multiply", file, SMALL, "ann") != 0


class TestLeftovers:
    def test_it_ends_a_child_with_its_talk(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("compute", file, SMALL, "ann") as session:
            pid = session.receive()
            assert alive(pid)
        assert not alive(pid)

    def test_it_ends_a_child_whose_owner_breaks_down(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        pids: list[int] = []

        def broken() -> None:
            with sandbox.open("sleep", file, SMALL, "ann") as session:
                pids.append(session.receive())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken()
        assert not alive(pids[0])

    def test_it_leaves_no_temporary_file(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("leave", file, SMALL, "ann") as session:
            path = Path(session.receive())
            assert path.exists()
        assert not path.parent.exists()

    def test_it_leaves_no_descriptor_thread_or_process(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        sandbox.call("echo", file, SMALL, "ann")
        assert sandbox.server.pid
        before = opened(), threading.active_count()
        for task in ("echo", "shout", "crash", "nothing") * 5:
            with pytest.raises(Failed) if task != "echo" else tempfile.TemporaryFile():
                sandbox.call(task, file, SMALL, "ann")
        assert (opened(), threading.active_count()) == before
        assert children(sandbox.server.pid) == []
        # Of itself a fork server has its channel, its selector, the pair that wakes it, and the hold on its folder.
        until(lambda: len(os.listdir(f"/proc/{sandbox.server.pid}/fd")) == 3 + 5)

    def test_it_gives_a_child_nothing_but_its_talk_and_its_file(self, sandbox: Sandbox, file: IO[bytes]) -> None:
        with sandbox.open("sleep", file, SMALL, "bob"):
            found, folder, parent = sandbox.call("look_around", file, SMALL, "ann")
        assert len([name for name in found if name.startswith("socket:")]) == 1
        assert len([name for name in found if not name.startswith(("socket:", "/proc/"))]) == 1
        assert parent == sandbox.server.pid
        assert not Path(folder).exists()


class TestForkServer:
    @pytest.fixture
    def own(self) -> Iterator[Sandbox]:
        made = Sandbox(TASKS, Slots(4, 2, 1, 30))
        yield made
        made.server.stop()

    def test_it_keeps_one_for_all(self, own: Sandbox, file: IO[bytes]) -> None:
        own.call("echo", file, SMALL, "ann")
        first = own.server.pid
        reason(own, "crash", file)
        own.call("echo", file, SMALL, "ann")
        assert own.server.pid == first

    def test_it_starts_another_one_for_one_that_died(self, own: Sandbox, file: IO[bytes]) -> None:
        own.call("echo", file, SMALL, "ann")
        first = own.server.pid
        assert first
        os.kill(first, signal.SIGKILL)
        assert own.call("echo", file, SMALL, "ann") == "0123456789"
        assert own.server.pid != first

    def test_it_says_so_when_it_dies_with_a_child(self, own: Sandbox, file: IO[bytes]) -> None:
        with own.open("sleep", file, SMALL, "ann") as session:
            pid = session.receive()
            os.kill(own.server.pid or 0, signal.SIGKILL)
            with pytest.raises(Failed) as caught:
                session.receive()
        assert caught.value.why == "away"
        until(lambda: not alive(pid))

    def test_it_leaves_no_files_of_one_that_died(
        self, own: Sandbox, file: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        with own.open("sleep", file, SMALL, "ann") as session:
            session.receive()
            os.kill(own.server.pid or 0, signal.SIGKILL)
        assert len(list(tmp_path.rglob("*"))) == 2
        own.call("echo", file, SMALL, "ann")
        assert len(list(tmp_path.iterdir())) == 1
        own.server.stop()
        until(lambda: not list(tmp_path.iterdir()))

    def test_it_starts_another_one_for_one_that_hangs(
        self, own: Sandbox, file: IO[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own.call("echo", file, SMALL, "ann")
        first = own.server.pid or 0
        os.kill(first, signal.SIGSTOP)
        monkeypatch.setattr("jobs.ingest.sandbox.session.STARTUP", 5.0)
        assert own.call("echo", file, SMALL, "ann") == "0123456789"
        assert own.server.pid != first

    def test_it_leaves_no_zombie(self, own: Sandbox, file: IO[bytes]) -> None:
        own.call("echo", file, SMALL, "ann")
        pid = own.server.pid
        assert pid
        own.server.stop()
        until(lambda: not alive(pid))

    def test_it_ends_when_nobody_wants_it(self) -> None:
        program = "import socket\nfrom jobs.ingest.sandbox.server import Server\nours, theirs = socket.socketpair()\n"
        subprocess.run([sys.executable, "-c", program + "Server(theirs, {}, idle=0.0).serve()"], check=True)

    def test_it_ends_with_its_web_server(self, tmp_path: Path) -> None:
        script = tmp_path / "web.py"
        script.write_text(
            "import io, os, signal\n"
            "from jobs.ingest.sandbox import Budget, Sandbox, Slots\n"
            "box = Sandbox('tests.ingest.sandbox.tasks', Slots(4, 2, 1, 30))\n"
            "with box.open('compute', io.BytesIO(b''), Budget(cpu=100), 'ann') as session:\n"
            "    print(box.server.pid, session.receive(), flush=True)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run(
            [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        for pid in done.stdout.split():
            until(lambda pid=pid: not alive(int(pid)))  # type: ignore[misc]

    def test_it_serves_a_forked_process_by_another_one(self, own: Sandbox, file: IO[bytes]) -> None:
        own.call("echo", file, SMALL, "ann")
        inlet, outlet = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                first = own.server.pid
                said = own.call("echo", io.BytesIO(b"mine"), SMALL, "ann")
                os.write(outlet, f"{first} {said}".encode())
            finally:
                os._exit(0)
        os.close(outlet)
        os.waitpid(pid, 0)
        with open(inlet) as answer:
            assert answer.read() == "None mine"
        assert own.call("echo", file, SMALL, "ann") == "0123456789"
