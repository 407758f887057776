"""One process to keep running: how it starts, how its death is told, when it starts again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, cast

from batchweb import guardian

BACKOFF_MAX = 30.0
STEADY = 60.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Service:
    """What to run. Times are in seconds.

    Services of a higher `level` stop before those of a lower one; those of one level stop side by side. Lines that hold
    one of the `hidden` texts tell a person nothing and are left out of the log.
    """

    name: str
    argv: Sequence[str]
    level: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    healthy: Callable[[], bool] = lambda: True
    start_within: float = 60.0
    stop_within: float = 1.0
    pass_fds: tuple[int, ...] = ()
    hidden: tuple[str, ...] = ()
    # Called with the process id once the process and all that it started are gone.
    gone: Callable[[int], object] = lambda process: None


def die_with_parent() -> None:
    """Asks Linux to end this process with its parent. It reaches direct children only, hence the guardian."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A started service: the leader of a session of its own, so that Ctrl-C in the terminal does not reach it."""

    def __init__(self, service: Service, mark: str, started: float) -> None:
        self.mark = mark
        self.started = started
        self.popen = subprocess.Popen(
            service.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **service.env, guardian.TREE: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=service.pass_fds,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self.output = cast(IO[bytes], self.popen.stdout)
        os.set_blocking(self.output.fileno(), False)

    def running(self) -> bool:
        return self.popen.poll() is None

    def terminate(self) -> None:
        if self.running():
            self.popen.terminate()

    def kill(self) -> None:
        """Ends what is left of the process group and of all that it started; its leader may be gone already."""
        guardian.kill([self.popen.pid], self.mark)


def backoff(deaths: int) -> float:
    """Seconds to wait after so many deaths in a row: 1, 2, 4 … 30."""
    return float(min(2.0 ** (deaths - 1), BACKOFF_MAX))


def described(status: int) -> str:
    """What a return code of `subprocess` says, in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


@dataclass
class Child:
    """A service and the process that runs it now, if one does."""

    service: Service
    process: Process | None = None
    deaths: int = 0
    due: float = 0.0

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def mourn(self, process: Process, now: float) -> str:
        """Notes that the process is dead, sets the time of the next start, and says both."""
        self.process = None
        self.deaths = 1 if now - process.started >= STEADY else self.deaths + 1
        wait = backoff(self.deaths)
        self.due = now + wait
        return f"{self.service.name} {described(process.popen.returncode)}; it starts again in {wait:g} s"
