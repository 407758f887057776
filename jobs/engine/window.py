"""How many items to pull ahead, and how often to look after those that are done."""

from __future__ import annotations

# Items for each worker that are pulled ahead at least, so that none waits for its next one.
LEAST = 4
# For how many seconds the threads should have work while the caller writes to its database.
SPARE = 0.15
# Never more than this many items, or so many for each worker where that is more. A thousand items are pulled ahead only
# while they take less than SPARE together, that is to say microseconds each; slow ones stay at LEAST for each worker.
MANY, MOST = 1000, 16
# The shortest time that tells a speed, and how much wider the window may get by one look at it: a short burst of quick
# items says little about the next ones.
BRIEF, STEP = 0.005, 4
# How long what is done may wait for more of its kind before the caller is woken.
LINGER = 0.002


class Window:
    """A number of open items that follows their speed: `size` of them, refilled when no more than `low` are left.

    `quorum` is how many finished ones are worth waking the caller for.
    """

    def __init__(self, workers: int, now: float) -> None:
        self._since = now
        self._finished = 0
        self.resize(workers)

    def resize(self, workers: int) -> None:
        """Begin anew with another number of workers."""
        self._least = LEAST * workers
        self._most = max(MOST * workers, MANY)
        self._fit(self._least, 0.0)

    def measure(self, now: float, finished: int) -> None:
        """Take note that so many items have finished by now."""
        seconds, count = now - self._since, finished - self._finished
        if seconds < BRIEF or (seconds < SPARE / 2 and count < self.size):
            return
        self._since, self._finished = now, finished
        speed = count / seconds
        self._fit(min(int(speed * SPARE), STEP * self.size), speed)

    def _fit(self, wanted: int, speed: float) -> None:
        self.size = min(max(wanted, self._least), self._most)
        # Refilled in lumps, because each hand-over may cost a switch of threads.
        lump = self.size // 4
        self.low = self.size - lump
        self.quorum = max(1, min(int(speed * LINGER), lump))
