"""Contestants that take turns, so that a noisy minute touches all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: so many items in so many seconds, with that much memory at the peak (MB)."""

    items: int
    seconds: float
    peak: float = 0.0

    @property
    def rate(self) -> float:
        return self.items / self.seconds


Contestant = Callable[[], Sample]


def timed(items: int, work: Callable[[], object]) -> Contestant:
    """A contestant that does `work` over `items` items in this process."""

    def measure() -> Sample:
        begun = time.perf_counter()
        work()
        return Sample(items, time.perf_counter() - begun)

    return measure


class Contest:
    """All samples of all contestants. Those named in `once` take part in the first round only."""

    def __init__(self, contestants: Mapping[str, Contestant], rounds: int, once: Collection[str] = ()) -> None:
        self.rounds = rounds
        self.samples: dict[str, list[Sample]] = {name: [] for name in contestants}
        for number in range(rounds):
            for name, measure in contestants.items():
                if not number or name not in once:
                    self.samples[name].append(measure())

    def rate(self, name: str) -> float:
        """The median of the items a second."""
        return statistics.median(sample.rate for sample in self.samples[name])

    def seconds(self, name: str) -> float:
        """The median of the seconds."""
        return statistics.median(sample.seconds for sample in self.samples[name])

    def peak(self, name: str) -> float:
        """The highest memory of all rounds, in MB."""
        return max(sample.peak for sample in self.samples[name])

    def times(self, name: str, other: str) -> float:
        """How many times the items a second of `other`: the median over the rounds that both took part in."""
        pairs = zip(self.samples[name], self.samples[other], strict=False)
        return statistics.median(one.rate / two.rate for one, two in pairs)
