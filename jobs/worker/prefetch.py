"""What is claimed for a worker, and what the engine is given of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from sys import getsizeof
from typing import Final, TypeAlias

from jobs import files
from jobs.models import Job
from jobs.processors import Task
from jobs.store.items import Claim

SIZE: Final = 16_000_000  # characters of payloads claimed ahead
# Bytes of memory of payloads that are claimed and not done, where a character may take four. What is read of one takes
# as much again, and more than once: a processor has its inputs, a service what it is sent.
HELD: Final = 48_000_000
SMALL: Final = 4_000  # bytes of a payload that is not counted: of these, all that are claimed ahead are few enough
TOGETHER: Final = 200  # payloads that are read at once, which is several times faster than one by one,
READ: Final = 500_000  # and characters of these, but for one that is longer

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
        self._sizes: dict[int, int] = {}  # of the large ones by position, in bytes of memory

    def __len__(self) -> int:
        return len(self.claims) + len(self._tasks)

    @property
    def has_large(self) -> bool:
        """Whether it matters which items are done."""
        return bool(self._sizes)

    def room(self, ahead: int, least: int, claimed: Collection[int]) -> tuple[int, int]:
        """How many more items to claim, and bytes of them at most, so that `ahead` are here.

        Fewer where they are large, but `least` unless those that are `claimed` and not done take all the memory that
        there is for them. None or a negative number where there are too many.
        """
        self._sizes = {at: size for at, size in self._sizes.items() if at in claimed}
        left = HELD - sum(self._sizes.values())
        if left <= 0:
            return 0, 0
        return min(ahead, max(least, SIZE // self._largest)) - len(self), min(SIZE, left)

    def weigh(self, claims: Iterable[Claim]) -> None:
        """Takes note of how large payloads are, as soon as they are read."""
        for position, payload, *_ in claims:
            self._largest = max(self._largest, len(payload))
            if len(payload) > SMALL:
                self._sizes[position] = getsizeof(payload)

    def add(self, claims: Sequence[Claim]) -> None:
        self.claims.extend(claims)
        if self._retain:
            self._retained.update((claim[0], claim) for claim in claims)

    def __iter__(self) -> Iterator[Item]:
        """Gives the items away."""
        while self._tasks or self.claims:
            if not self._tasks:
                self._tasks.extend(self._items(self._few()))
            yield self._tasks.popleft()

    def _few(self) -> list[Claim]:
        """The next ones that are read at once. What is read of a text takes many times its memory."""
        few: list[Claim] = []
        left = READ
        while self.claims and len(few) < TOGETHER and left > 0:
            few.append(self.claims.popleft())
            left -= len(few[-1][1])
        return few

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
