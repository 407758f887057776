"""Rows as people name them, `3,17,20-25`, counted from 1; and as spans of positions, the second of each excluded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from jobs.models.states import Refused

Spans: TypeAlias = tuple[tuple[int, int], ...]

MOST: Final = 1_000  # rows and ranges at a time
SHOWN: Final = 40  # characters of what was not understood

_PARTS: Final = re.compile(r"[,;\n]")
_RANGE: Final = re.compile(r"\s*([0-9]{1,10})\s*(?:[-–]\s*([0-9]{1,10})\s*)?")


class InvalidSelection(Refused):
    """There is no such choice of items."""


def parse(text: str, total: int) -> Spans:
    """The spans that are named, in order and apart; none where the text is empty. `total` rows are there.

    Raises InvalidSelection.
    """
    found = sorted(_span(part, total) for part in _PARTS.split(text) if part.strip())
    if text and not found:
        raise InvalidSelection("No rows are named. Name some like this: 3,17,20-25.")
    if len(found) > MOST:
        raise InvalidSelection(f"Up to {MOST:,} rows and ranges can be named at a time, not {len(found):,}.")
    merged: list[tuple[int, int]] = []
    for start, stop in found:
        if merged and start <= merged[-1][1]:
            start, stop = merged[-1][0], max(stop, merged.pop()[1])
        merged.append((start, stop))
    return tuple(merged)


def _span(text: str, total: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if not found:
        raise InvalidSelection(f"“{text.strip()[:SHOWN]}” names no rows. Name some like this: 3,17,20-25.")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1 <= first <= last:
        counted = "they are counted from 1, and the first one comes first."
        raise InvalidSelection(f"“{text.strip()}” names no rows: {counted}")
    if last > total:
        raise InvalidSelection(f"There is no row {last:,}: the job has {total:,}.")
    return first - 1, last


def size(spans: Spans) -> int:
    """How many rows that are."""
    return sum(stop - start for start, stop in spans)


def positions(spans: Spans) -> tuple[int, ...]:
    """Each of them."""
    return tuple(at for span in spans for at in range(*span))


def written(positions: Iterable[int]) -> str:
    """Ascending positions as `parse` reads them."""
    spans: list[list[int]] = []
    for at in positions:
        if spans and spans[-1][1] == at:
            spans[-1][1] = at + 1
        else:
            spans.append([at, at + 1])
    return ",".join(map(_written, spans))


def _written(span: Sequence[int]) -> str:
    start, stop = span
    return f"{start + 1}-{stop}" if stop - start > 1 else str(stop)
