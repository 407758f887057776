"""What a child may use, and how it is held to that."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
from dataclasses import dataclass
from typing import Final

if sys.platform != "win32":
    import resource

NICE: Final = 5  # pages come before what is read for one person
OPEN_FILES: Final = 32
PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one child: seconds of CPU time, seconds that its owner waits for it, bytes of the others.

    `memory` comes on top of what the fork server has, `disk` is the largest temporary file, `output` all that is sent.
    """

    cpu: float = 10.0
    wait: float = 30.0
    memory: int = 300_000_000
    disk: int = 1_000_000_000
    output: int = 4_000_000


def confine(budget: Budget) -> None:
    """Holds this process to the budget, for good."""
    seconds = math.ceil(budget.cpu)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_CPU", seconds, seconds + 1)
    _limit("RLIMIT_AS", address_space() + budget.memory)
    _limit("RLIMIT_FSIZE", budget.disk)
    _limit("RLIMIT_NOFILE", OPEN_FILES)
    _limit("RLIMIT_NPROC", 0)
    os.nice(NICE)
    give_way()


def _limit(name: str, soft: int, hard: int | None = None) -> None:
    """Sets a limit that this system knows, and never a higher one than it has."""
    kind = getattr(resource, name, None)
    if kind is None:
        return
    _, most = resource.getrlimit(kind)
    wanted = (soft, soft if hard is None else hard)
    resource.setrlimit(kind, wanted if most == resource.RLIM_INFINITY else (min(soft, most), min(wanted[1], most)))


def address_space() -> int:
    """Bytes that this process has mapped; a guess where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 1_000_000_000


def give_way() -> None:
    """Where the machine runs out of memory, this process goes first, and not a web server."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
            stream.write("1000")
    except OSError:
        pass  # no Linux


def die_with(parent: int) -> None:
    """Ends this process when its parent ends; at once where that has happened already."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
