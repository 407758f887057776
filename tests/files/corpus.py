"""Files made on the spot, and short ways to read them."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from typing import Any

from jobs.files import LIMITS, Limits, Reader, Row, open_rows

NEWLINES = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
TABLES = list(itertools.product(",;\t|", NEWLINES, ENCODINGS))
# What is often mistaken for the end of a line or of a file.
ODDITIES = (
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\x1a",
    "\ufeff",
    "\u202e",
    "𝄞",
    "e\u0301",
)


class Endless(io.RawIOBase):
    """A stream of `size` bytes that are never in memory at once: a start, then the same piece again and again."""

    def __init__(self, start: bytes, piece: bytes, size: int) -> None:
        self._left = size
        self._start = start
        self._piece = piece * max(1, 65_536 // len(piece))

    def read(self, size: int = -1) -> bytes:
        data, self._start = (self._start, b"") if self._start else (self._piece, b"")
        data = data[: min(size if size > 0 else len(data), self._left)]
        self._left -= len(data)
        return data


def opened(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> Reader:
    """A reader over these bytes."""
    raw = data.encode() if isinstance(data, str) else data
    return open_rows(io.BytesIO(raw), name, limits, **overrides)


def rows(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> list[Row]:
    """All rows of these bytes."""
    return list(opened(data, name, limits, **overrides))


def values(data: bytes | str, name: str = "", **overrides: Any) -> list[Any]:
    """The payloads of all rows, parsed; no row may be bad."""
    found = rows(data, name, **overrides)
    assert [row.reason for row in found if row.reason] == []
    return [json.loads(row.payload) for row in found]


def reasons(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> dict[int, str]:
    """Row number to reason, of the bad rows."""
    return {number: row.reason for number, row in enumerate(rows(data, name, limits, **overrides), 1) if row.reason}


def csv_text(records: Sequence[Sequence[str]], delimiter: str = ",", newline: str = "\n") -> str:
    """The records as the standard library writes them."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(records)
    return text.getvalue()
