"""Progress bars: one for the console, and one that hands its numbers to whoever shows them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from weakref import WeakSet

from tqdm import tqdm

log = logging.getLogger(__name__)

Show: TypeAlias = Callable[[Mapping[str, Any]], None]


class ConsoleBar(tqdm):  # type: ignore[type-arg]
    """tqdm's bar without its monitor thread: the beat of the engine refreshes it."""

    monitor_interval = 0

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.write(text, file=sys.stderr)


class Feed(tqdm):  # type: ignore[type-arg]
    """A bar that draws nothing: whenever it would, `show` gets tqdm's `format_dict` (n, total, elapsed, rate, …).

    Update it from the coordinating thread only, and call `refresh()` from the beat, so that quiet times show too.
    """

    monitor_interval = 0
    # It takes no line of the console, so it neither counts among the bars that do nor shares their lock.
    _instances: WeakSet[Any] = WeakSet()
    _lock = threading.RLock()

    def __init__(self, show: Show, total: int | None = None, *, initial: int = 0, desc: str = "") -> None:
        self._show = show
        # tqdm draws nothing of its own for a bar that says it has a window (gui).
        super().__init__(total=total, initial=initial, desc=desc, gui=True, miniters=1)

    def display(self, *args: Any, **kwargs: Any) -> None:
        """Hand the numbers on. Never raises: tqdm calls this with its lock held and would not let go of it."""
        try:
            self._show(self.format_dict)
        except Exception:
            log.exception("A progress display failed.")

    def close(self) -> None:
        """Show the last numbers, once."""
        if not self.disable:
            self.display()
        super().close()


def _own_locks() -> None:
    # A process forked while another thread drew would wait for that lock for ever.
    tqdm.set_lock(threading.RLock())
    Feed.set_lock(threading.RLock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_locks)
