"""Reads a file's rows one after another, in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Unpack

from jobs.files import jsonlines, plaintext, tabular
from jobs.files.encoding import title
from jobs.files.lines import Lines, Readable, Replay, take_head
from jobs.files.shape import LIMITS, Given, Limits, Row, Shape, Unreadable
from jobs.files.sniffing import sniff


class Reader(Iterator[Row]):
    """The rows of one file, once. `rows` and `blank` count what came; `columns` grows with a JSON Lines file's keys.

    Iterating raises Unreadable when the file as a whole turns out to be none: a quote that never closes, no row at all,
    more rows than the limit.
    """

    def __init__(self, stream: Readable, shape: Shape, limits: Limits = LIMITS) -> None:
        self.shape = shape
        self.rows = 0
        self.blank = 0
        self._limits = limits
        self._columns = jsonlines.Columns(shape.columns, limits.columns)
        self._source = self._open(stream)
        self._counted = self._count()

    def __iter__(self) -> Iterator[Row]:
        return self._counted

    def __next__(self) -> Row:
        return next(self._counted)

    @property
    def columns(self) -> tuple[str, ...]:
        """The shape's columns, and for JSON Lines those that came up later."""
        return self._columns.names()

    def _open(self, stream: Readable) -> Iterator[Row | None]:
        lines = Lines(stream, self.shape.encoding, self._limits.row_bytes)
        if self.shape.format == "jsonl":
            return jsonlines.rows(lines, self.shape, self._limits, self._columns)
        rows = plaintext.rows if self.shape.format == "text" else tabular.rows
        return rows(lines, self.shape, self._limits)

    def _count(self) -> Iterator[Row]:
        try:
            for row in self._source:
                if row is None:
                    self.blank += 1
                    continue
                self.rows += 1
                if self.rows > self._limits.rows:
                    raise Unreadable(f"The file has more than {self._limits.rows:,} rows.")
                yield row
        except (tabular.OpenQuote, csv.Error, UnicodeError) as error:
            raise Unreadable(self._sentence(error)) from None
        if not self.rows:
            raise Unreadable("The file has a header but no rows." if self.shape.header else "The file has no rows.")

    def _sentence(self, error: Exception) -> str:
        where = f"row {self.rows + 1:,}"
        if isinstance(error, UnicodeError):
            return f"The file is not valid {title(self.shape.encoding)}: it breaks inside a character near {where}."
        if not isinstance(error, tabular.OpenQuote):
            return f"The file cannot be read as {self.shape.format.upper()} from {where} on: {error}."
        opened = f"A quote that opens in {where} (line {error.line:,})"
        if error.at_end:
            return f"{opened} is never closed."
        return f"{opened} is not closed within {self._limits.row_bytes:,} bytes."


def read(stream: Readable, shape: Shape, limits: Limits = LIMITS) -> Reader:
    """The rows of a stream that stands at its beginning. The stream stays open."""
    return Reader(stream, shape, limits)


def open_rows(stream: Readable, name: str = "", limits: Limits = LIMITS, **given: Unpack[Given]) -> Reader:
    """Sniffs and reads in one go; the stream need not be seekable. The shape is on the reader. Raises Unreadable."""
    head, complete = take_head(stream, limits.row_bytes)
    shape = sniff(head, name, complete=complete, limits=limits, **given)
    return Reader(Replay(head, stream), shape, limits)
