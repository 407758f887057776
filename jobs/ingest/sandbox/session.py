"""The owner's side: has a child look at a file, and turns each way in which that can end into a sentence."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from jobs.files import Partial, Unreadable
from jobs.ingest.sandbox import child, wire
from jobs.ingest.sandbox.budget import Budget
from jobs.ingest.sandbox.slots import Full, Slots

STARTUP: Final = 30.0  # seconds in which a fork server has imported what it needs
ENDING: Final = 10.0  # seconds in which it has ended a child
TRIES: Final = 2  # one that was about to end, idle, did not take the request
ROOT: Final = str(Path(__file__).resolve().parents[2])
MB: Final = 1_000_000

SMALLER: Final = "Save it as plain CSV, or in smaller parts, and send these."
LATER: Final = "Try again in a moment."


class Failed(Unreadable):
    """A file could not be looked at. `why` is a code: time, memory, disk, output, broken, busy, crowded or away."""

    def __init__(self, why: str, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


def failed(why: str, budget: Budget, share: int = 0) -> Failed:
    """What happened, in a sentence for the person who sent the file, with what to do."""
    sentences = {
        "time": f"This file takes too long to look at: it was given up after {budget.cpu:,.0f} s. {SMALLER}",
        "memory": f"This file takes too much memory to look at: over {budget.memory // MB:,} MB. {SMALLER}",
        "disk": f"This file unpacks to too much to look at: over {budget.disk // MB:,} MB. {SMALLER}",
        "output": f"What is to be shown of this file is too much: over {budget.output // MB:,} MB. "
        "Shorten its header, and send it again.",
        "broken": "This file cannot be looked at: what reads files here broke down over it. "
        "Open it in the program that it comes from, save it once more, or as plain CSV, and send that.",
        "busy": f"Other files of yours are being looked at, and that is done for {share} at a time. "
        "Try again when they are done.",
        "crowded": f"Many people's files are being looked at just now. {LATER}",
        "away": f"No file can be looked at just now. {LATER}",
    }
    return Failed(why, sentences[why])


class ForkServer:
    """The one of this process, started when it is wanted."""

    def __init__(self, tasks: str) -> None:
        self._tasks = tasks
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=self._disown)

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def warm(self) -> None:
        """Starts it if need be, and does not wait for it. Where that fails, it is told when somebody wants it."""
        with self._lock, suppress(OSError):
            self._connected()

    def fork(self, link: socket.socket, leash: socket.socket, file: int) -> None:
        """Asks for a child that has these. The server may be about to end, so that nothing comes of it."""
        descriptors = [link.fileno(), leash.fileno(), file]
        with self._lock:
            try:
                socket.send_fds(self._connected(), [b"?"], descriptors)
            except OSError:
                self._close()
                socket.send_fds(self._connected(), [b"?"], descriptors)

    def stop(self) -> None:
        """Ends it, and all of its children with it."""
        with self._lock:
            self._close()

    def kill(self) -> None:
        """Ends it where it does nothing any more; its children end with it."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
            self._close()

    def _connected(self) -> socket.socket:
        if self._process is not None and self._process.returncode is not None:
            self._close()
        if self._control is None:
            self._control = self._start()
        return self._control

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            paths = filter(None, [ROOT, os.environ.get("PYTHONPATH", "")])
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jobs.ingest.sandbox.server", str(theirs.fileno()), self._tasks],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is the web server's affair
            )
        # It ends by itself when it is idle, and somebody has to take note, or a zombie stays.
        threading.Thread(target=self._process.wait, name="fork server", daemon=True).start()
        return ours

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control = self._process = None

    def _disown(self) -> None:
        """In a process that was forked off this one: the server is not its own."""
        self._lock = threading.Lock()
        self._close()


class Session:
    """A talk with one child. Raises Failed, and Unreadable for what the child says of the file."""

    def __init__(self, server: ForkServer, file: int, budget: Budget) -> None:
        self.budget = budget
        self._server = server
        for _ in range(TRIES):
            self._link, self._leash = self._forked(file)
            if self._started():
                break
            self._drop()
        else:
            raise failed("away", budget)
        self._inbox = wire.Inbox(self._link, budget.output, budget.wait)

    def _forked(self, file: int) -> tuple[socket.socket, socket.socket]:
        link, theirs = socket.socketpair()
        leash, end = socket.socketpair()
        with theirs, end:
            try:
                self._server.fork(theirs, end, file)
            except OSError:
                link.close()
                leash.close()
                raise failed("away", self.budget) from None
        return link, leash

    def _started(self) -> bool:
        """Whether the fork server has taken the request; it may have been about to end."""
        self._leash.settimeout(STARTUP)
        try:
            return bool(self._leash.recv(1))
        except ConnectionError:
            return False
        except TimeoutError:
            self._server.kill()
            return False

    @property
    def seconds(self) -> float:
        """How long the child may still be waited for."""
        return self._inbox.seconds or 0.0

    def send(self, message: Any) -> None:
        """Says something to the child; one that is gone is told of by `receive`."""
        self._link.settimeout(ENDING)
        try:
            wire.send(self._link, message)
        except TimeoutError:
            raise failed("time", self.budget) from None
        except ConnectionError:
            pass

    def receive(self) -> Any:
        """The next value that the child tells. Raises EOFError where it has told everything."""
        try:
            kind, *said = self._inbox.receive()
        except wire.TooMuch:
            raise failed("output", self.budget) from None
        except TimeoutError:
            raise failed("time", self.budget) from None
        except ValueError:
            raise failed("broken", self.budget) from None
        except EOFError:
            self._judge(self._end())
            raise
        if kind == "unreadable":
            raise (Partial if said[1] else Unreadable)(str(said[0]))
        return said[0]

    def close(self) -> None:
        """Ends the child, and waits until nothing of it is left."""
        if self._leash.fileno() >= 0:
            self._end()

    def _judge(self, status: int | None) -> None:
        """Raises what an exit status means, unless the child has come to its end."""
        why = {0: "", -signal.SIGXCPU: "time", child.MEMORY: "memory", child.DISK: "disk", None: "away"}
        if reason := why.get(status, "broken"):
            raise failed(reason, self.budget)

    def _end(self) -> int | None:
        """How the child ended, which it does now if it has not yet; None where the fork server cannot say."""
        with suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)
        try:
            status = wire.Inbox(self._leash, 100, ENDING).receive()
            return int(status)
        except TimeoutError:
            self._server.kill()
            return None
        except EOFError:
            return None
        finally:
            self._drop()

    def _drop(self) -> None:
        self._link.close()
        self._leash.close()


class Sandbox:
    """Has the tasks of a module done in children. `slots` says how many of them there are at a time.

    What lasts as long as somebody takes to read it has slots of its own.
    """

    def __init__(self, tasks: str, slots: Slots) -> None:
        self.server = ForkServer(tasks)
        self.slots = slots

    @contextmanager
    def open(
        self, task: str, stream: IO[bytes], budget: Budget, person: Hashable, slots: Slots | None = None,
        **arguments: Any,
    ) -> Iterator[Session]:  # fmt: skip
        """A talk with a child that does `task` with the file, which is ended with the block. Raises Failed."""
        slots = slots or self.slots
        try:
            with slots.slot(person), descriptor(stream) as file:
                session = Session(self.server, file, budget)
                try:
                    session.send([task, asdict(budget), arguments])
                    yield session
                finally:
                    session.close()
        except Full as full:
            raise failed("busy" if full.own else "crowded", budget, slots.share) from None

    def call(self, task: str, stream: IO[bytes], budget: Budget, person: Hashable, **arguments: Any) -> Any:
        """The one value that `task` tells of the file. Raises Failed and Unreadable."""
        with self.open(task, stream, budget, person, **arguments) as session:
            try:
                return session.receive()
            except EOFError:
                raise failed("broken", budget) from None


@contextmanager
def descriptor(stream: IO[bytes]) -> Iterator[int]:
    """The number under which a file is open, of a copy where it is in memory only or far away."""
    stream.seek(0)
    try:
        number = stream.fileno()
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
            copy.flush()
            stream.seek(0)
            yield copy.fileno()
    else:
        yield number
