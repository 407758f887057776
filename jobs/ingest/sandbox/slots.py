"""How many children there are at a time, and how many of them one person may have."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Full(Exception):
    """Nothing came free. `own` says whether it is the person's own requests that are in the way."""

    def __init__(self, own: bool) -> None:
        super().__init__(own)
        self.own = own


class Slots:
    """`size` places, of which one person has up to `share`; up to `queue` more requests of theirs wait `timeout` s."""

    def __init__(self, size: int, share: int, queue: int, timeout: float) -> None:
        self.size, self.share, self.queue, self.timeout = size, share, queue, timeout
        self.waiting: Counter[Hashable] = Counter()
        self.taken: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def slot(self, person: Hashable) -> Iterator[None]:
        """A place for as long as the block lasts. Raises Full, at once where enough of this person's wait already."""
        self._take(person)
        try:
            yield
        finally:
            with self._changed:
                self.taken -= Counter([person])
                self._changed.notify_all()

    def _take(self, person: Hashable) -> None:
        with self._changed:
            if not self._free(person):
                self._wait(person)
            self.taken[person] += 1

    def _wait(self, person: Hashable) -> None:
        if self.waiting[person] >= self.queue:
            raise Full(own=True)
        self.waiting[person] += 1
        try:
            if not self._changed.wait_for(lambda: self._free(person), self.timeout):
                raise Full(own=self.taken[person] >= self.share)
        finally:
            self.waiting -= Counter([person])

    def _free(self, person: Hashable) -> bool:
        return self.taken[person] < self.share and self.taken.total() < self.size
