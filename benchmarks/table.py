"""A table of ratios, each with the bar that it has to reach."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    what: str
    ratio: float
    bar: float
    note: str = ""

    @property
    def short(self) -> bool:
        return self.ratio < self.bar


@dataclass
class Table:
    title: str
    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, ratio: float, bar: float, note: str = "") -> None:
        self.rows.append(Row(what, ratio, bar, note))

    def short(self) -> list[Row]:
        return [row for row in self.rows if row.short]

    def text(self) -> str:
        wide = max(len(row.what) for row in self.rows)
        lines = [
            f"  {row.what:<{wide}}  {row.ratio:8.2f}  (at least {row.bar:.3g})  {'SHORT  ' * row.short}{row.note}"
            for row in self.rows
        ]
        return "\n".join(["", self.title, *lines])


def seconds(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def medians(functions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each function; they take turns, so that a noisy minute touches all of them."""
    times = [[seconds(function) for function in functions] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]
