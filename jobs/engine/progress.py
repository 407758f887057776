"""Progress bars: one for the console, and one that hands its numbers to whoever shows them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeAlias
from weakref import WeakSet

from tqdm import tqdm

log = logging.getLogger(__name__)

Show: TypeAlias = Callable[[Mapping[str, Any]], None]


class ConsoleBar(tqdm):  # type: ignore[type-arg]
    """tqdm's bar on standard error without its monitor thread: whoever counts calls `show` a few times a second.

    `initial` is what was done before, which the rate leaves out. A bar inside another one goes when it is full.
    """

    monitor_interval = 0
    _shown = (0, 0)

    def __init__(self, total: int | None = None, desc: str = "", *, initial: int = 0, **more: Any) -> None:
        # Without miniters=0 a burst at the start would make tqdm deaf to the few items of a slow time, and the rate
        # would stay what it was in the burst.
        super().__init__(total=total, desc=_plain(desc), initial=initial, leave=None, miniters=0, **more)

    def show(self, n: int) -> None:
        """Bring the bar to `n`. Where nothing is new it is drawn again each second, so that its clock goes on."""
        if self.disable:
            return
        # An update by nought would be taken for progress, and spoil the rate.
        drawn = self.update(n - self.n) if n != self.n else False
        shown = (n, int(self.format_dict["elapsed"]))
        if not drawn and shown != self._shown:
            self.refresh()
        self._shown = shown

    def say(self, text: str) -> None:
        """Print text above the bar. What would move the cursor or change colours is shown as �."""
        try:
            self.write("\n".join(map(_plain, text.split("\n"))), file=sys.stderr)
        except Exception:
            self._give_up()

    # An error output that is closed, full or unable to take the letters ends the bar, not the batch. And tqdm draws
    # between a plain acquire and release of its lock: what is raised there would leave it held for all other bars.

    def refresh(self, nolock: bool = False, lock_args: Any = None) -> None:
        """Draw now; Ctrl-C in the midst of it lets go of the lock."""
        with nullcontext() if nolock else self.get_lock():  # type: ignore[no-untyped-call]
            super().refresh(nolock=True)

    def display(self, *args: Any, **kwargs: Any) -> bool:  # type: ignore[override]
        """Draw. Never raises."""
        try:
            return bool(super().display(*args, **kwargs))
        except Exception:
            self._give_up()
            return False

    def close(self) -> None:
        """Draw the last numbers and go to the next line."""
        try:
            super().close()
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        self.disable = True
        self._instances.discard(self)  # type: ignore[attr-defined]


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


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
