"""What Linux alone is asked for about this process. Elsewhere, and where a kernel refuses, nothing happens."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

PR_SET_PDEATHSIG: Final = 1
PR_SET_MM: Final = 35
PR_SET_MM_MAP: Final = 14
STAT = Path("/proc/self/stat")
# Where its fields behind the name begin to count, and those that a map is made of.
FIRST: Final = 3
FIELDS: Final = {"start_code": 26, "end_code": 27, "start_stack": 28, "start_data": 45, "end_data": 46, "start_brk": 47}
NO_FILE: Final = 2**32 - 1
M_ARENA_MAX: Final = -8  # of malloc.h
LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_shown: list[Any] = []  # what the kernel reads must stay where it is


class Map(ctypes.Structure):
    """`struct prctl_mm_map`: where the kernel finds the parts of this process."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("start_code", "end_code", "start_data", "end_data", "start_brk", "brk",
          "start_stack", "arg_start", "arg_end", "env_start", "env_end", "auxv")),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )  # fmt: skip


def die_with_parent() -> None:
    """Asks Linux to end this process with its parent. It reaches direct children only, hence the guardian."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def be_child() -> None:
    """Ends with its parent, and before it where memory runs out, so that somebody is left to say so."""
    die_with_parent()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("300")


def present_as(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Lets others see this process with these arguments and this environment, as if it had been started with them.

    A fork shows those of the process that it was forked off, and the guardian finds its own by their environment.
    """
    try:
        parts = layout()
    except OSError:  # there is no /proc, so that nobody could see it anyway
        return
    shown = terminated(arguments)
    block = ctypes.create_string_buffer(shown + terminated(f"{name}={value}" for name, value in environment.items()))
    _shown.append(block)
    start = ctypes.addressof(block)
    middle, end = start + len(shown), start + len(block) - 1
    places = Map(**parts, arg_start=start, arg_end=middle, env_start=middle, env_end=end, exe_fd=NO_FILE)
    cast(ctypes.CDLL, LIBC).prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(places), ctypes.sizeof(places), 0)


def terminated(texts: Any) -> bytes:
    return b"".join(os.fsencode(text) + b"\0" for text in texts)


def layout() -> dict[str, int]:
    """Where the parts of this process are, but for its arguments and its environment."""
    stat = STAT.read_text().rpartition(")")[2].split()
    sbrk = ctypes.CDLL(None).sbrk
    sbrk.restype, sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    return {name: int(stat[field - FIRST]) for name, field in FIELDS.items()} | {"brk": sbrk(0)}


def keep_memory_together() -> None:
    """Has all threads take memory from two places: else each keeps what its largest answer took."""
    if hasattr(LIBC, "mallopt"):
        cast(ctypes.CDLL, LIBC).mallopt(M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Gives the system what is free by now; the C library would keep most of it for the next answer of that size."""
    if hasattr(LIBC, "malloc_trim"):
        cast(ctypes.CDLL, LIBC).malloc_trim(0)
