"""The fork server: `python -m jobs.ingest.sandbox.server CONTROL TASKS`, the number of an open socket and a module.

It has imported what reading files takes, and never reads one: each request forks a child that does. A request is one
byte with three descriptors: the child's end of the talk, our end of its leash, the file. Over the leash the owner hears
that the child has started (one byte) and how it ended (a message); whoever closes the other end kills the child. The
temporary folder of a child is gone before its owner hears of its end.

It has one thread, so that forking is safe, and ends with its web server, or when nobody has wanted anything for long.
"""

from __future__ import annotations

import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from jobs.ingest.sandbox import child, wire
from jobs.ingest.sandbox.budget import die_with
from jobs.ingest.sandbox.folders import own_folder

IDLE: Final = 300.0  # seconds: as long as somebody may take over a form
STARTED: Final = b"+"
REQUEST: Final = b"?"


@dataclass(slots=True)
class Running:
    """A child, what it is held by, and where its temporary files are."""

    leash: socket.socket
    folder: str


class Server:
    def __init__(self, control: socket.socket, tasks: child.Tasks, idle: float = IDLE) -> None:
        self.control = control
        self.tasks = tasks
        self.idle = idle
        self.open = True
        self.running: dict[int, Running] = {}
        self.folder, self.lock = own_folder()
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = socket.socketpair()
        self.wake.setblocking(False)
        self.woken.setblocking(False)
        self.watch(self.control, self.accept)
        self.watch(self.woken, self.reap)

    def watch(self, source: socket.socket, react: Callable[[], None]) -> None:
        self.selector.register(source, selectors.EVENT_READ, react)

    def serve(self) -> None:
        """Forks children until the web server is gone, or nothing has been asked for in `idle` seconds."""
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while self.open or self.running:
            ready = self.selector.select(None if self.running else self.idle)
            if not ready and not self.running:
                break
            for key, _ in ready:
                key.data()
        shutil.rmtree(self.folder, ignore_errors=True)

    def accept(self) -> None:
        try:
            _, descriptors, _, _ = socket.recv_fds(self.control, len(REQUEST), 3)
        except ConnectionError:
            descriptors = []
        if len(descriptors) != 3:
            self.close()
            return
        link, leash = (socket.socket(fileno=number) for number in descriptors[:2])
        try:
            self.fork(link, leash, descriptors[2])
        except OSError as error:
            sys.stderr.write(f"No process could be started to read a file: {error}\n")
            leash.close()
        finally:
            link.close()
            os.close(descriptors[2])

    def fork(self, link: socket.socket, leash: socket.socket, file: int) -> None:
        folder, parent = tempfile.mkdtemp(dir=self.folder), os.getpid()
        try:
            pid = os.fork()
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if not pid:
            self.become(parent, link, leash, file, folder)
        self.running[pid] = Running(leash, folder)
        self.watch(leash, lambda: self.kill(pid))
        with suppress(OSError):
            leash.sendall(STARTED)

    def become(self, parent: int, link: socket.socket, leash: socket.socket, file: int, folder: str) -> None:
        """Is the child, which holds nothing that is not its own. Never returns."""
        status = child.BROKEN
        try:
            die_with(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.selector.close()
            os.close(self.lock)
            for one in (self.control, self.wake, self.woken, leash, *(other.leash for other in self.running.values())):
                one.close()
            status = child.run(link, file, folder, self.tasks)
        finally:
            os._exit(status)

    def kill(self, pid: int) -> None:
        """The owner has let go of the leash."""
        if pid in self.running:
            self.selector.unregister(self.running[pid].leash)
            # Nobody but `reap` waits for it, so the number is still that of this child.
            os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        with suppress(BlockingIOError):
            self.woken.recv(4096)
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.finish(self.running.pop(pid), os.waitstatus_to_exitcode(status))

    def finish(self, ended: Running, status: int) -> None:
        shutil.rmtree(ended.folder, ignore_errors=True)
        with suppress(KeyError):
            self.selector.unregister(ended.leash)
        with suppress(OSError):
            wire.send(ended.leash, status)
        ended.leash.close()

    def close(self) -> None:
        """The web server is gone: nobody wants an answer any more."""
        self.open = False
        self.selector.unregister(self.control)
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)


def main(control: int, tasks: str) -> None:
    module: Any = import_module(tasks)
    # What a web server ignores its programs ignore, too, and then nothing would end a child that computes for ever.
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    # Children look through garbage of their own only, and do not copy ours by looking.
    gc.collect()
    gc.freeze()
    Server(socket.socket(fileno=control), module.TASKS).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
