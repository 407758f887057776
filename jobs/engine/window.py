"""How many items to pull ahead."""

from __future__ import annotations

# Items for each worker: at least, and at most while they are quick.
LEAST, MOST = 4, 16
# For how many seconds the threads should have work while the caller writes to its database.
SPARE = 0.15


class Window:
    """A number of open items that follows their speed: `size` of them, refilled when no more than `low` are left."""

    def __init__(self, workers: int, now: float) -> None:
        self._workers = workers
        self._since = now
        self._finished = 0
        self.size = self.low = 0
        self._widen(0)

    def resize(self, workers: int) -> None:
        """Begin anew with another number of workers."""
        self._workers = workers
        self._widen(0)

    def measure(self, now: float, finished: int) -> None:
        """Take note that so many items have finished by now."""
        seconds = now - self._since
        if seconds < SPARE / 2:
            return
        self._widen(int((finished - self._finished) / seconds * SPARE))
        self._since, self._finished = now, finished

    def _widen(self, wanted: int) -> None:
        self.size = min(max(wanted, LEAST * self._workers), MOST * self._workers)
        # Refilled in lumps, because each hand-over may cost a switch of threads.
        self.low = self.size - self.size // 4
