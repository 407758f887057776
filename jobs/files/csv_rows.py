"""Rows of CSV and TSV. The standard library's csv parses; here the lines are cut, bounded and checked."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from jobs.files.encoding import undecodable
from jobs.files.lines import Lines
from jobs.files.payload import SHOWN, array_text, first_surrogate, plain_array, shortened, sound_array
from jobs.files.shape import BYTES, FEW, LONG, MANY, Limits, Reason, Row, Shape

NAMED = 8  # columns that a reason names
LONGEST = 80  # characters of each


class OpenQuote(Exception):
    """A quote was opened in the record that begins on this line and not closed in time."""

    def __init__(self, line: int, at_end: bool) -> None:
        super().__init__(line)
        self.line = line
        self.at_end = at_end


class _Feed:
    """Hands lines to the csv parser and sees what it cannot tell: a line asked for inside a record means an open quote.

    `size` is the length of the record so far. The caller sets it to 0 when it has the record.
    """

    def __init__(self, lines: Lines, limits: Limits) -> None:
        self._lines = lines
        self._limits = limits
        self._long = min(lines.long, csv.field_size_limit())
        self.size = 0
        self.start = 1
        self.too_long = False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.size += len(line)
            if self.size > self._long:
                line = self._bounded(line)
            if "\0" in line:
                line = line.replace("\0", "\u2400")
            yield line
        if self.size:
            raise OpenQuote(self.start, at_end=True)

    def _bounded(self, line: str) -> str:
        # The module's limit is one for the whole process: it is only ever raised, and only when a long record comes.
        if self.size > csv.field_size_limit():
            csv.field_size_limit(self._limits.row_bytes + 2)
            self._long = self._lines.long
        if self.size > len(line) and self.size > self._limits.row_bytes:
            raise OpenQuote(self.start, at_end=False)
        if not self._lines.is_too_long(line):
            return line
        quotes = line.count('"')
        if self._lines.is_cut(line):
            quotes += sum(piece.count('"') for piece in self._lines.skip())
        if quotes % 2:
            raise OpenQuote(self.start, at_end=False)
        self.too_long = True
        return line[:SHOWN].replace('"', "") + "\n"


def rows(lines: Lines, shape: Shape, limits: Limits) -> Iterator[Row | None]:
    """The file's rows, None for each blank line."""
    feed = _Feed(lines, limits)
    records = csv.reader(feed, delimiter=shape.delimiter)
    width = len(shape.columns)
    small = min(limits.cell_chars, lines.long)  # a record of so many characters is within all limits
    header = shape.header
    for record in records:
        size, feed.size, feed.start = feed.size, 0, records.line_num + 1
        if len(record) == width and size <= small and not header:
            payload = plain_array(record) or sound_array(record)
            yield Row(payload, "", record) if payload else checked(record, shape, limits)
            continue
        if not record or (len(record) == 1 and width > 1 and not record[0].strip()):
            yield None
            continue
        if not header:
            yield too_long(record, limits) if feed.too_long else checked(record, shape, limits)
            feed.too_long = False
        header = False


def too_long(record: list[str], limits: Limits) -> Row:
    """The row of a record of which only the beginning was kept."""
    return Row(array_text(shortened(record, 1)), Reason(LONG, f"is longer than {limits.row_bytes:,} bytes"))


def checked(record: list[str], shape: Shape, limits: Limits) -> Row:
    """The row of a record that may be good or bad."""
    reason = _reason(record, shape, limits)
    return Row(array_text(shortened(record, limits.columns)), reason) if reason else Row(array_text(record), "", record)


def _reason(record: list[str], shape: Shape, limits: Limits) -> str:
    if len(record) != len(shape.columns):
        return wrong_width(len(record), shape.columns)
    for column, cell in zip(shape.columns, record, strict=True):
        if first_surrogate(cell):
            return Reason(BYTES, f"{undecodable(cell, shape.encoding)} in column {short(column)}")
        if len(cell) > limits.cell_chars:
            return Reason(
                LONG, f"has {len(cell):,} characters in column {short(column)}, the limit is {limits.cell_chars:,}"
            )
    return ""


def short(column: str) -> str:
    """A column's name in a sentence: there is one for each bad row."""
    return column if len(column) <= LONGEST else column[:LONGEST] + "…"


def wrong_width(found: int, columns: Sequence[str]) -> str:
    """Why a row of so many cells does not fit these columns."""
    names = ", ".join(map(short, columns[:NAMED])) + (", …" if len(columns) > NAMED else "")
    word = "column" if len(columns) == 1 else "columns"
    text = f"has {found:,} cell{'' if found == 1 else 's'}, expected {len(columns):,} ({word} {names})"
    return Reason(FEW if found < len(columns) else MANY, text)
