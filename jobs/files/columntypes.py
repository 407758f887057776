"""What the columns of a table hold, guessed from its first rows, for people to look at. Nothing is converted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

TEXT = "text"
JSON = "JSON"
LOOKED_AT: Final = 300  # characters of a cell: of what is longer they say enough
_DATE = r"(\d{4}-\d\d?-\d\d?|\d{4}/\d\d?/\d\d?|\d\d?\.\d\d?\.(\d{4}|\d\d)|\d\d?/\d\d?/(\d{4}|\d\d))"
_TIME = r"\d\d?:\d\d(:\d\d([.,]\d+)?)?\s?([ap]m)?"
_ADDRESS = r"\w[\w+.-]*://\S+|www\.\S[^\s.]*+\.\S++|mailto:\S+|[^\s@]+@[^\s@]+\.[^\s@.]+"


def _is_json(cell: str) -> bool:
    if cell[0] + cell[-1] not in ("{}", "[]"):
        return False
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return True


# In this order: what is a whole number is a number too. A leading zero makes a postcode or a phone number: text.
TYPES: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "whole number": r"[-+]?(0|[1-9]\d*|[1-9]\d{0,2}(,\d{3})+)",
        "number": r"[-+]?((0|[1-9]\d*|[1-9]\d{0,2}(,\d{3})+)([.,]\d+|\.)?|\.\d+)(e[-+]?\d+)?\s?%?",
        "date": rf"{_DATE}([T ]\s*{_TIME}(\s?(Z|UTC|[+-]\d\d:?\d\d))?)?|{_TIME}",
        "true/false": "true|false|yes|no",
        "address": _ADDRESS,
    }.items()
}


def column_types(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A type for each column of these rows: text, whole number, number, date, true/false, address or JSON."""
    width = max(map(len, rows), default=0)
    return tuple(guess_type(row[at] for row in rows if at < len(row)) for at in range(width))


def guess_type(cells: Iterable[str]) -> str:
    """The narrowest type that fits every cell that is not empty; text where none does, or there is no such cell."""
    filled = {cell.strip() for cell in cells} - {""}
    if not filled:
        return TEXT
    for name in TYPES:
        if all(TYPES[name].fullmatch(cell, 0, LOOKED_AT) for cell in filled):
            return name
    return JSON if all(map(_is_json, filled)) else TEXT
