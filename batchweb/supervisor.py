"""Runs several processes as one: starts them in order, mends them, stops them all together.

One thread, one loop: output, signals and deaths of children all wake the same selector. A second small process, the
guardian, ends the children when this one is killed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import IO, cast

from batchweb import guardian, machine
from batchweb.log import Log
from batchweb.process import Child, Process, Service

# A group-wide signal can arrive twice, directly and handed on by make; only a later one means "at once".
SAME_REQUEST = 0.3
# Seconds between two looks at the children after which this process did not run itself: the machine slept, or is so
# busy that the silence of a child tells nothing.
ASLEEP = 5.0
OUT_OF_MEMORY = (
    "Memory ran out, and the kernel ended a process (SIGKILL). Give this machine or container more memory, or set "
    "smaller numbers of WORKER_PROCESSES, LOADER_PROCESSES or WEB_PROCESSES; with a smaller JOBS_MEMORY_MB an item "
    "that wants too much fails by itself."
)


class Stopped(Exception):
    """Somebody asked everything to stop."""


class NotReady(Exception):
    """A service did not get healthy in its time."""


class Supervisor:
    """Use it as a context manager: leaving the block stops what was started, however it is left."""

    def __init__(
        self,
        *,
        out: IO[str] | None = None,
        keep_fds: tuple[int, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        memory_kills: Callable[[], int] = machine.memory_kills,
    ) -> None:
        """The guardian keeps `keep_fds` open until nothing runs any more."""
        self.log = Log(out or sys.stdout)
        self.clock = clock
        self.keep_fds = keep_fds
        self.children: list[Child] = []
        self.tree = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.selector = selectors.DefaultSelector()
        self.asked: float | None = None
        self.hurry = False
        self.looked = clock()
        self.memory_kills = memory_kills
        self.killed = memory_kills()

    def __enter__(self) -> Supervisor:
        self.wake, self.woken = socket.socketpair()
        self.wake.setblocking(False)
        self.woken.setblocking(False)
        self.selector.register(self.woken, selectors.EVENT_READ, self.drain)
        self.wakeup = signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        asking = {number: signal.signal(number, self.ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        self.handlers = {**asking, signal.SIGCHLD: signal.signal(signal.SIGCHLD, self.nothing)}
        self.guard = self.new_guardian()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> bool:
        try:
            self.stop()
        finally:
            self.close()
        return kind is Stopped

    def close(self) -> None:
        guardian.kill([], self.tree)
        with contextlib.suppress(BrokenPipeError):
            cast(IO[str], self.guard.stdin).close()
        self.guard.wait()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self.wakeup)
        self.selector.close()
        self.wake.close()
        self.woken.close()

    # What the outside asks

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first request stops everything in order, a later one at once."""
        now = self.clock()
        if self.asked is None:
            self.asked = now
        elif now - self.asked > SAME_REQUEST:
            self.hurry = True

    def nothing(self, number: int, frame: FrameType | None) -> None:
        """A child has ended: nothing to do here, but the signal has woken the selector."""

    def start(self, service: Service) -> None:
        """Starts a service and returns when it is healthy.

        Raises NotReady after `start_within` seconds, Stopped when somebody asks to stop meanwhile.
        """
        child = Child(service)
        self.children.append(child)
        self.begin(child)
        deadline = self.clock() + service.start_within
        while not (child.running() and service.healthy()):
            if self.clock() > deadline:
                raise NotReady(f"{service.name} did not get ready within {service.start_within:g} seconds.")
            self.turn(0.05)

    def watch(self) -> None:
        """Keeps everything running until somebody asks to stop; then raises Stopped."""
        while True:
            self.turn(1.0)

    def drop(self, name: str) -> None:
        """Stops a service and forgets it."""
        dropped = [child for child in self.children if child.service.name == name]
        self.stop_level(dropped)
        self.children = [child for child in self.children if child not in dropped]

    # The loop

    def turn(self, timeout: float) -> None:
        self.pump(timeout)
        if self.asked is not None or machine.make_interrupted(os.getppid()):
            raise Stopped
        self.tell_of_memory()
        self.mend()

    def pump(self, timeout: float) -> None:
        """Waits for output or a signal, `timeout` seconds at most, and hands on what came."""
        for key, _ in self.selector.select(timeout):
            key.data()

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)

    def tell_of_memory(self) -> None:
        """Says when memory ran out, for the death of a process, or of one of its children, tells SIGKILL alone."""
        before, self.killed = self.killed, self.memory_kills()
        if self.killed > before:
            self.log.write("up", OUT_OF_MEMORY)

    def mend(self) -> None:
        """Says which children have died, and starts those again whose wait is over."""
        if self.guard.poll() is not None:
            self.guard = self.new_guardian()
        now = self.clock()
        slept, self.looked = now - self.looked > ASLEEP, now
        for child in self.children:
            if child.process is None:
                self.begin_due(child)
            else:
                self.look_at(child, child.process, now, slept)

    def look_at(self, child: Child, process: Process, now: float, slept: bool) -> None:
        if not process.running():
            self.died(child.service, process)
            self.log.write("up", child.describe_end(process, now))
        elif slept:
            process.heard = now
        else:
            self.examine(child, process, now)

    def examine(self, child: Child, process: Process, now: float) -> None:
        """Ends a child that is not well; the next look at it starts another one."""
        if process.deadline is not None:
            if now > process.deadline:
                process.kill()
        elif trouble := child.silence(process, now):
            self.log.write("up", trouble)
            process.retire(now)
            process.kill()
        elif trouble := child.excess(process):
            self.log.write("up", trouble)
            process.retire(now + child.service.stop_within)

    def begin_due(self, child: Child) -> None:
        if self.clock() >= child.due:
            self.begin(child)

    def begin(self, child: Child) -> None:
        mark = f"{self.tree}.{secrets.token_hex(4)}"
        process = child.process = Process(child.service, mark, self.clock())
        self.tell(f"+{process.popen.pid}")
        self.selector.register(process.output, selectors.EVENT_READ, lambda: self.read(child.service, process.output))
        self.selector.register(process.pulse, selectors.EVENT_READ, lambda: self.feel(child.service, process))

    def feel(self, service: Service, process: Process) -> None:
        """Takes a sign of life; at the end of the process its line is closed."""
        with contextlib.suppress(BlockingIOError):
            if os.read(process.pulse, 4096):
                process.beaten(self.clock(), service.silent_within or 0.0)
            else:
                self.selector.unregister(process.pulse)
                os.close(process.pulse)

    def read(self, service: Service, stream: IO[bytes]) -> None:
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return
        self.log.feed(service.name, stream.fileno(), data, service.hidden)
        if not data:
            self.selector.unregister(stream)
            stream.close()

    # The end

    def stop(self) -> None:
        """Stops all children, level by level from the highest, and ends what outlives its `stop_within`."""
        for level in sorted({child.service.level for child in self.children}, reverse=True):
            self.stop_level([child for child in self.children if child.service.level == level])

    def stop_level(self, children: list[Child]) -> None:
        ending = [(child.service, child.process) for child in children if child.process]
        processes = [process for _, process in ending]
        for process in processes:
            process.terminate()
        deadline = self.clock() + max((child.service.stop_within for child in children), default=0.0)
        while any(process.running() for process in processes) and self.clock() < deadline and not self.hurry:
            self.pump(0.05)
        for service, process in ending:
            self.died(service, process)
        self.pump(0)

    def died(self, service: Service, process: Process) -> None:
        process.kill()
        process.popen.wait()
        self.tell(f"-{process.popen.pid}")
        service.gone(process.popen.pid)

    # The guardian

    def new_guardian(self) -> subprocess.Popen[str]:
        """A fresh guardian that knows all that runs."""
        started = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, self.tree],
            stdin=subprocess.PIPE,
            text=True,
            pass_fds=self.keep_fds,
            start_new_session=True,
        )
        for child in self.children:
            if child.process:
                print(f"+{child.process.popen.pid}", file=started.stdin, flush=True)
        return started

    def tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed: `mend` starts another one and tells it everything
            print(line, file=self.guard.stdin, flush=True)
