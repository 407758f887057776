"""What the machine refuses, as a sentence: a file of somebody else, a full disk, one more process."""

from __future__ import annotations

import errno
import os
import pwd
import resource
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Final

from django.db import DatabaseError

from batchweb import installation

FORBIDDEN: Final = (errno.EACCES, errno.EPERM)
LATEST: Final = datetime(2088, 1, 19, tzinfo=UTC).timestamp()  # of sign-in links, which count seconds in 31 bits
# What SQLite says, which gives no numbers.
BY_SQLITE: Final = {
    "attempt to write a readonly database": errno.EACCES,
    "unable to open database file": errno.EACCES,
    "database or disk is full": errno.ENOSPC,
    "can't start new thread": errno.EAGAIN,  # Python itself
}


@contextmanager
def trouble_told() -> Iterator[None]:
    """Ends the process with a sentence where the machine refused something; other errors pass through."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError, DatabaseError) as error:
        if sentence := explained(error):
            raise SystemExit(sentence) from None
        raise


def explained(error: BaseException) -> str:
    """What was refused and what to do about it; empty for an error that is no refusal of the machine."""
    number = number_of(error)
    named = getattr(error, "filename", None)
    path = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else data_folder()
    if number in FORBIDDEN:  # without a name it is no file that was refused, unless SQLite says so
        return forbidden(path) if named or not isinstance(error, OSError) else ""
    return {
        errno.EROFS: f"{path} cannot be written, for its file system is read-only. Set DATA_DIR to another folder.",
        errno.ENOTDIR: f"{path} is no folder. Set DATA_DIR to one.",
        errno.EEXIST: f"{path} is no folder. Set DATA_DIR to one.",
        errno.ENOSPC: f"The disk of {path} is full. Make room, or set DATA_DIR to a folder on another disk.",
        errno.EDQUOT: f"Your share of the disk of {path} is used up. Make room, or set DATA_DIR to another disk.",
        errno.EAGAIN: f"The system allows no more processes{most_processes()}. Raise that (ulimit -u), end some, or "
        "set WORKER_PROCESSES and LOADER_PROCESSES to smaller numbers.",
        errno.ENOMEM: "There is no memory left. End other programs, or set WORKER_PROCESSES and LOADER_PROCESSES to "
        "smaller numbers.",
        errno.EMFILE: "The system allows no more open files. Raise their number: ulimit -n 4096",
    }.get(number, "")


def number_of(error: BaseException) -> int:
    """Its number in `errno`; 0 for one that has none."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, OSError):
        return error.errno or 0
    return next((number for words, number in BY_SQLITE.items() if words in str(error)), 0)


def data_folder() -> Path:
    """Where data are, also when the settings could not be loaded."""
    return Path(os.environ.get("DATA_DIR") or installation.data_folder()).absolute()


def forbidden(path: Path) -> str:
    """Names who owns what may not be used."""
    user, (found, owner) = os.geteuid(), owned(path)
    if owner == user:
        return f"{found} may not be used by {name_of(user)}, who owns it. Look at its permissions, or set DATA_DIR."
    sentence = f"{found} belongs to {name_of(owner)}, and {name_of(user)} may not use it."
    if found.is_relative_to(folder := data_folder()):
        return f"{sentence} Have it given to you, sudo chown -R {user} {shlex.quote(str(folder))}, or set DATA_DIR."
    return f"{sentence} Set DATA_DIR to a folder that {name_of(user)} may write to."


def owned(path: Path) -> tuple[Path, int]:
    """The path, or the innermost folder on the way to it that can be seen, and the user id of its owner."""
    for candidate in (path, *path.parents):
        with suppress(OSError):
            return candidate, candidate.lstat().st_uid
    return path, 0


def name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def most_processes() -> str:
    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return "" if most == resource.RLIM_INFINITY else f" than {most} of one user"


def check_room(threads: int) -> None:
    """Starts so many threads at once, and ends them. Raises RuntimeError where limits of any kind leave no room."""
    done = Event()
    started: list[Thread] = []
    try:
        for _ in range(threads):
            thread = Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    finally:
        done.set()
        for thread in started:
            thread.join()


def clock_trouble(now: float) -> str:
    """What is wrong with a clock that says `now`; empty for one that may be right."""
    if now <= LATEST:
        return ""
    said = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    return f"The clock of this machine says {said}, for which no sign-in link can be made. Set it right."


def memory_kills(path: Path = Path("/proc/vmstat")) -> int:
    """How many processes the kernel has ended so far because memory ran out; 0 where it does not tell."""
    with suppress(OSError, ValueError):
        counts = dict(line.split() for line in path.read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    return 0


def make_interrupted(process: int) -> bool:
    """Whether the process is a make that got SIGINT: it then waits for what it started, and does not tell it.

    Ctrl-C reaches everything in a terminal, `kill -INT` make alone. It waits in its handler, which blocks the signal,
    and which it has taken back by then.
    """
    bit = 1 << (signal.SIGINT - 1)
    with suppress(OSError, KeyError, ValueError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        waiting = int(status["SigBlk"], 16) & ~int(status["SigCgt"], 16) & bit
        return status["Name"] in ("make", "gmake") and bool(waiting)
    return False
