"""Rows of plain text: each line that is not blank is one item."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.files.encoding import undecodable
from jobs.files.lines import Lines
from jobs.files.payload import array_text, first_surrogate, shortened
from jobs.files.shape import LONG, Limits, Reason, Row, Shape

COLUMN = "text"


def rows(lines: Lines, shape: Shape, limits: Limits) -> Iterator[Row | None]:
    """The file's rows, None for each blank line."""
    for line in lines:
        if lines.is_cut(line):
            sum(map(len, lines.skip()))
        text = line.rstrip("\r\n")
        if not text.strip(" \t"):
            yield None
            continue
        reason = _reason(text, shape, limits)
        cells = [text.replace("\0", "\u2400")] if not reason else shortened([text], 1)
        yield Row(array_text(cells), reason, cells)


def _reason(text: str, shape: Shape, limits: Limits) -> str:
    if len(text) > limits.cell_chars:
        return Reason(LONG, f"is longer than {limits.cell_chars:,} characters")
    return undecodable(text, shape.encoding) if first_surrogate(text) else ""
