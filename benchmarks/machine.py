"""What the figures were measured on, and how much memory processes take."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

MEGABYTE = 1_000_000
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def described() -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{processor()}, {CORES} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load {load():.1f} before"
    )


def load() -> float:
    """How many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


def processor() -> str:
    return of("/proc/cpuinfo", "model name") or platform.machine()


def of(path: str, name: str) -> str:
    """What stands after `name:` in a file of /proc; nothing where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def megabytes(path: str, name: str) -> float:
    kibibytes = of(path, name).removesuffix(" kB")
    return int(kibibytes) * 1024 / MEGABYTE if kibibytes else 0.0


def resident(pids: Iterable[int]) -> float:
    """What the largest of the processes takes now, in MB."""
    return max((megabytes(f"/proc/{pid}/status", "VmRSS") for pid in pids), default=0.0)


def peak(pids: Iterable[int]) -> float:
    """The most that any of the processes ever took (resident), in MB.

    Not `ru_maxrss`: that begins with what the parent had when it started the process.
    """
    return max((megabytes(f"/proc/{pid}/status", "VmHWM") for pid in pids), default=0.0)


def together(pids: Iterable[int]) -> float:
    """What the processes take together, pages that they share counted once (PSS), in MB."""
    return sum(megabytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids)
