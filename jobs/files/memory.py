"""How much a process grows while it reads: libraries keep more of some files than anybody can count from outside."""

from __future__ import annotations

import resource
from typing import Final

from jobs.files.shape import Unreadable

STATM: Final = "/proc/self/statm"
MOST: Final = 200_000_000  # bytes; of texts that cells share 100 MB may be kept


class Growth:
    """What this process has taken since, where the system tells."""

    def __init__(self) -> None:
        self._before = resident()

    def check(self) -> None:
        """Raises Unreadable where that is too much."""
        if resident() - self._before > MOST:
            raise Unreadable(
                f"This file takes too much memory to read: over {MOST // 1_000_000} MB. "
                "Save it as plain CSV, and send that."
            )


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        with open(STATM, "rb", buffering=0) as stream:
            return int(stream.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
