"""Ends what `manage.py up` started when `up` itself is killed and can no longer do it.

Runs as a script of its own (`python -I -S guardian.py TREE`), so it needs the standard library only. Each line of its
standard input names a process group: `+123` has started, `-123` is gone. End of input means that `up` is gone too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

# All that `up` starts carries this in its environment, so that what left its process group is found as well.
TREE = "BATCHWEB_TREE"
GRACE = 2.5


def family(tree: str) -> list[int]:
    """The processes that carry the mark `tree`, or one that begins with it and a dot.

    Looks at /proc, so it finds none where there is no /proc.
    """
    mark = f"{TREE}={tree}.".encode()
    found = []
    for pid in numbered("/proc"):
        if pid != os.getpid() and any((entry + b".").startswith(mark) for entry in environment(pid)):
            found.append(pid)
    return found


def numbered(folder: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []


def environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or not ours
        return []


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill(groups: Iterable[int], tree: str) -> None:
    """Ends the groups and everything marked with `tree` at once."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in family(tree):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end(groups: set[int], tree: str, grace: float = GRACE) -> None:
    """Asks the leaders to stop, waits `grace` seconds at most, then ends what is left."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(group, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(alive(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill(groups, tree)


def watch(lines: Iterable[str]) -> set[int]:
    """The groups that still run when `lines` end."""
    groups: set[int] = set()
    for line in lines:
        change, group = line[:1], int(line[1:])
        (groups.add if change == "+" else groups.discard)(group)
    return groups


def main(arguments: Sequence[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = watch(sys.stdin)
    if groups:
        end(groups, arguments[0])


if __name__ == "__main__":
    main(sys.argv[1:])
