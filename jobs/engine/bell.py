"""How one thread sleeps until others have news for it."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress


class Bell:
    """Lets its owner sleep until others ring or a time has passed. Nobody pays for a lock while the owner is awake."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        # Holds a token while the owner sleeps or is about to; whoever pops it is the one who wakes the owner.
        self.asleep: deque[None] = deque()

    def ring(self) -> None:
        """Wake the owner if it sleeps."""
        with suppress(IndexError):
            self.asleep.pop()
            self._gate.release()

    def lie_down(self) -> None:
        """Be seen as asleep from now on. What came before must be looked for after this, and before `sleep`."""
        self.asleep.append(None)

    def sleep(self, seconds: float) -> None:
        """Return at the next ring since `lie_down`, or after `seconds`."""
        if not self._gate.acquire(timeout=max(0.0, seconds)):
            try:
                self.asleep.pop()
            except IndexError:
                # Somebody took the token in this very moment and is about to release.
                self._gate.acquire()
