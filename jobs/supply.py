"""What is claimed for a worker, and what the engine is given of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from jobs import files
from jobs.models import Job
from jobs.processors import Task
from jobs.store import Claim

SIZE: Final = 16_000_000  # characters of payloads claimed ahead
TOGETHER: Final = 200  # payloads that are read at once, which is several times faster than one by one

Item: TypeAlias = tuple[int, Task, int]  # position, payload, attempts already made


class Supply:
    """Claimed items of one job in the order of their claims.

    They are made into tasks a few at a time: so few are there at a time, and the collector of garbage has less to look
    through. With `retain` they stay at hand until they are done, for the fallback of those that fail.
    """

    def __init__(self, job: Job, *, retain: bool) -> None:
        self.job = job
        self.claims: deque[Claim] = deque()
        self._pick = files.Picker(job.mapping, job.columns, job.file_shape)
        self._tasks: deque[Item] = deque()
        self._retain = retain
        self._retained: dict[int, Claim] = {}
        self._largest = 1  # characters of the largest payload so far

    def __len__(self) -> int:
        return len(self.claims) + len(self._tasks)

    def room(self, ahead: int, least: int) -> int:
        """How many more items to claim so that `ahead` are here; fewer where they are large, but `least` in any case.

        Negative where there are too many.
        """
        return min(ahead, max(least, SIZE // self._largest)) - len(self)

    def weigh(self, claims: Iterable[Claim]) -> None:
        """Takes note of how large payloads are, as soon as they are read."""
        self._largest = max(self._largest, *(len(claim[1]) for claim in claims), 1)

    def add(self, claims: Sequence[Claim]) -> None:
        self.claims.extend(claims)
        if self._retain:
            self._retained.update((claim[0], claim) for claim in claims)

    def __iter__(self) -> Iterator[Item]:
        """Gives the items away."""
        while self._tasks or self.claims:
            if not self._tasks:
                few = [self.claims.popleft() for _ in range(min(TOGETHER, len(self.claims)))]
                self._tasks.extend(self._items(few))
            yield self._tasks.popleft()

    def forget(self) -> None:
        """Lets go of what was not given to the engine."""
        self.claims.clear()
        self._tasks.clear()

    def done(self, positions: Iterable[int]) -> None:
        """No fallback is wanted for these any more."""
        for position in positions if self._retained else ():
            self._retained.pop(position, None)

    def task(self, position: int) -> Task | None:
        """The task of an item that is not done, if it was retained."""
        claim = self._retained.get(position)
        return self._items([claim])[0][1] if claim else None

    def _items(self, claims: Sequence[Claim]) -> list[Item]:
        # The job's run may become another one while an item is tried, since somebody retries others; the item's own run
        # is told by how often it was tried before.
        inputs = self._pick([claim[1] for claim in claims])
        # Under other settings it is another order, too.
        anew = f"{self.job.readings}." if self.job.readings else ""
        return [
            (position, Task(picked, key, f"{self.job.code}-{position + 1}-{anew}{earlier + 1}"), tries)
            for (position, _, key, tries, earlier), picked in zip(claims, inputs, strict=True)
        ]
