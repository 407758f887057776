"""A table of figures, each with the bar that it has to reach, as it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One figure. The bar is the least that it may be, or with `most` the most; None where it is only shown."""

    what: str
    figure: float
    bar: float | None = None
    unit: str = ""
    note: str = ""
    most: bool = False

    @property
    def short(self) -> bool:
        """Whether the figure, as it is printed, misses the bar."""
        if self.bar is None:
            return False
        shown = round(self.figure, digits(self.figure))
        return shown > self.bar if self.most else shown < self.bar

    @property
    def figures(self) -> str:
        return f"{number(self.figure)} {self.unit}".rstrip()

    @property
    def wanted(self) -> str:
        if self.bar is None:
            return ""
        return f"at {'most' if self.most else 'least'} {f'{self.bar:,.2f}'.removesuffix('.00')}"


def p95(values: Sequence[float]) -> float:
    """What 95 of 100 values stay below."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else sum(values)


def digits(figure: float) -> int:
    return 2 if abs(figure) < 100 else 0


def number(figure: float) -> str:
    return f"{figure:,.{digits(figure)}f}"


@dataclass
class Table:
    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, what: str, figure: float, bar: float | None = None, *, unit: str = "", note: str = "", most: bool = False
    ) -> None:
        self.rows.append(Row(what, figure, bar, unit, note, most))

    def say(self, note: str) -> None:
        """A line below the rows."""
        self.notes.append(note)

    def short(self) -> list[Row]:
        return [row for row in self.rows if row.short]

    def text(self, judged: bool = True) -> str:
        """All of it as lines; unless `judged`, the figures are of a size at which bars mean nothing."""
        cells = [(row.what, row.figures, row.wanted, "SHORT" * (judged and row.short)) for row in self.rows]
        a, b, c, d = (max(map(len, column)) for column in zip(*cells, strict=True))
        lines = [
            f"  {what:<{a}}  {figures:>{b}}  {wanted:<{c}}  {short:<{d}}  {row.note}".rstrip()
            for (what, figures, wanted, short), row in zip(cells, self.rows, strict=True)
        ]
        return "\n".join(["", self.title, *lines, *(f"  {note}" for note in self.notes)])
