"""One process to keep running: how it starts, how its death is told, when it starts again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from batchweb import fork, guardian, kernel
from batchweb.fork import PRIVATE, Fork

BACKOFF_MAX = 30.0
STEADY = 60.0
HEARTBEAT = "BATCHWEB_HEARTBEAT"  # names the descriptor into which a child writes its signs of life
FIRST_SIGN = 120.0  # seconds that a child may take until the first one
UTF8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}  # what a child writes is read as that, whatever the locale

Handle = subprocess.Popen[bytes] | Fork


@dataclass(frozen=True)
class Service:
    """What to run. Times are in seconds.

    Services of a higher `level` stop before those of a lower one; those of one level stop side by side. Lines that hold
    one of the `hidden` texts tell a person nothing and are left out of the log. One that gives signs of life is
    replaced when none comes for `silent_within`, and one that takes more than `memory_mb` (0: no limit) as well.
    With `forked` what `python -m MODULE …` says is done by a copy of this process, which has loaded most of it already.
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
    silent_within: float | None = None
    memory_mb: int = 0
    forked: bool = False
    # Called with the process id once the process and all that it started are gone.
    gone: Callable[[int], object] = lambda process: None


def execute(service: Service, env: Mapping[str, str], pass_fds: Sequence[int]) -> tuple[Handle, IO[bytes]]:
    """The process of a program, and what it writes."""
    process = subprocess.Popen(
        service.argv,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=kernel.be_child,
        umask=PRIVATE,
    )
    return process, cast(IO[bytes], process.stdout)


def copy(service: Service, env: Mapping[str, str], pass_fds: Sequence[int]) -> tuple[Handle, IO[bytes]]:
    """The same for a copy of this process."""
    reading, writing = os.pipe()
    process = Fork(fork.module(service.argv), service.argv, env, pass_fds=pass_fds, output=writing)
    os.close(writing)
    return process, os.fdopen(reading, "rb", buffering=0)


class Process:
    """A started service: the leader of a session of its own, so that Ctrl-C in the terminal does not reach it."""

    def __init__(self, service: Service, mark: str, started: float) -> None:
        self.mark = mark
        self.started = self.heard = started
        self.limit = FIRST_SIGN
        self.deadline: float | None = None
        self.pulse, given = os.pipe()
        os.set_blocking(self.pulse, False)
        os.set_blocking(given, False)
        own = {"PYTHONUNBUFFERED": "1", **UTF8, HEARTBEAT: str(given), guardian.TREE: mark}
        kept = (*service.pass_fds, given)
        self.popen, self.output = (copy if service.forked else execute)(service, {**service.env, **own}, kept)
        os.close(given)
        os.set_blocking(self.output.fileno(), False)

    def running(self) -> bool:
        return self.popen.poll() is None

    def terminate(self) -> None:
        if self.running():
            self.popen.terminate()

    def retire(self, deadline: float) -> None:
        """Asks it to end, and notes when it is to be ended."""
        if self.deadline is None:
            self.deadline = deadline
            self.terminate()

    def beaten(self, now: float, silent_within: float) -> None:
        """Notes a sign of life, from which on they are to come as often as that."""
        self.heard = now
        self.limit = silent_within

    def kill(self) -> None:
        """Ends what is left of the process group and of all that it started; its leader may be gone already."""
        guardian.kill([self.popen.pid], self.mark)


def memory_mb(process: int) -> int:
    """What the process has in memory, in MB; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024**2


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

    def silence(self, process: Process, now: float) -> str:
        """What is wrong with a process that gives no sign of life; empty while one is not overdue."""
        silent = now - process.heard
        if self.service.silent_within is None or silent <= process.limit:
            return ""
        return f"{self.service.name} has given no sign of life for {silent:.0f} s; it is replaced"

    def excess(self, process: Process) -> str:
        """What is wrong with a process that takes too much memory; empty for one that does not."""
        used = memory_mb(process.popen.pid) if self.service.memory_mb else 0
        if used <= self.service.memory_mb:
            return ""
        return f"{self.service.name} takes {used:,} MB, more than {self.service.memory_mb:,} MB; it is replaced"

    def describe_end(self, process: Process, now: float) -> str:
        """Notes that the process is dead, sets the time of the next start, and says both."""
        self.process = None
        self.deaths = 1 if now - process.started >= STEADY else self.deaths + 1
        wait = backoff(self.deaths)
        self.due = now + wait
        return f"{self.service.name} {described(cast(int, process.popen.returncode))}; it starts again in {wait:g} s"
