"""A copy of this process that goes on as another program, and shares with it in memory what is loaded by now.

Forking is safe while there is one thread only, and no connection to a database or a broker is open.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from io import FileIO, TextIOWrapper
from itertools import pairwise
from typing import BinaryIO, Final, TextIO, cast

from batchweb import kernel

PRIVATE: Final = 0o077
HANDLED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
STDERR: Final = 2


class Fork:
    """A running copy; it is used like `subprocess.Popen`.

    It leads a session of its own, ends with its parent, and holds no descriptors but `pass_fds` and `output`.
    """

    def __init__(
        self, do: Callable[[], object], argv: Sequence[str], env: Mapping[str, str], *,
        pass_fds: Sequence[int] = (), output: int = STDERR,
    ) -> None:  # fmt: skip
        """Goes on with `do`; others see it with `argv`, and with `env` added to the environment."""
        self._parent = os.getpid()
        # What asks this process to stop must not reach the copy while it would answer like this one.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        ready, given = os.pipe()
        try:
            start = (do, argv, env, pass_fds, output)
            self._process = multiprocessing.get_context("fork").Process(target=self._become, args=start, daemon=False)
            self._process.start()
        finally:
            os.close(given)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        # The copy closes its end when it has become itself: by then it leads a group, which can be ended as a whole.
        with open(ready, "rb") as end:
            end.read()
        self.pid = cast(int, self._process.pid)

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """The same as `returncode`, once it has ended or after `timeout` seconds."""
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _become(
        self, do: Callable[[], object], argv: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int],
        output: int,
    ) -> None:  # fmt: skip
        os.setsid()
        os.umask(PRIVATE)
        kernel.be_child()
        if os.getppid() != self._parent:
            sys.exit(1)
        os.environ.update(env)
        kernel.present_as(argv, os.environ)
        give_up_signals()
        give_up_descriptors(output, pass_fds)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        do()


def give_up_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def give_up_descriptors(output: int, kept: Sequence[int]) -> None:
    """Reads from nowhere, writes to `output` what is written at once, and closes all others that are not to be kept."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, STDERR)
    for below, above in pairwise(sorted({STDERR, *kept, os.sysconf("SC_OPEN_MAX")})):
        os.closerange(below + 1, above)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = writer(1), writer(STDERR)  # type: ignore[misc, assignment]


def writer(descriptor: int) -> TextIO:
    """Writes at once, and in UTF-8 whatever the locale: those of this process know where they were in another file."""
    raw = cast(BinaryIO, FileIO(descriptor, "wb", closefd=False))
    return TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def module(argv: Sequence[str]) -> Callable[[], object]:
    """What `python -m MODULE …` does, given as it would be started."""
    name, *rest = argv[2:]

    def run() -> None:
        sys.argv = [name, *rest]
        sys.modules.pop(f"{name}.__main__", None)  # this process may have been started by it
        runpy.run_module(name, run_name="__main__", alter_sys=True)

    return run


def freeze() -> None:
    """What is loaded by now stays: looking for garbage passes over it, and does not copy it into each fork."""
    gc.collect()
    gc.freeze()
