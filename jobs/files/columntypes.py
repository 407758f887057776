"""What the columns of a table hold, guessed from its first rows, for people to look at. Nothing is converted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

TEXT = "text"
_DATE = r"(\d{4}-\d\d?-\d\d?|\d{4}/\d\d?/\d\d?|\d\d?\.\d\d?\.(\d{4}|\d\d)|\d\d?/\d\d?/(\d{4}|\d\d))"
_TIME = r"\d\d?:\d\d(:\d\d([.,]\d+)?)?\s?([ap]m)?"
_ADDRESS = r"\w[\w+.-]*://\S+|www\.\S+\.\S+|mailto:\S+|[^\s@]+@[^\s@]+\.[^\s@.]+"


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.IGNORECASE).fullmatch


def _is_json(cell: str) -> bool:
    if cell[0] + cell[-1] not in ("{}", "[]"):
        return False
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return True


# In this order: what is a whole number is a number too. A leading zero makes a postcode or a phone number: text.
TYPES: Mapping[str, Callable[[str], object]] = {
    "whole number": _matcher(r"[-+]?(0|[1-9]\d*|[1-9]\d{0,2}(,\d{3})+)"),
    "number": _matcher(r"[-+]?((0|[1-9]\d*|[1-9]\d{0,2}(,\d{3})+)([.,]\d+|\.)?|\.\d+)(e[-+]?\d+)?\s?%?"),
    "date": _matcher(rf"{_DATE}([T ]\s*{_TIME}(\s?(Z|UTC|[+-]\d\d:?\d\d))?)?|{_TIME}"),
    "true/false": _matcher("true|false|yes|no"),
    "address": _matcher(_ADDRESS),
    "JSON": _is_json,
}


def column_types(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A type for each column of these rows: text, whole number, number, date, true/false, address or JSON."""
    width = max(map(len, rows), default=0)
    return tuple(guess_type(row[at] for row in rows if at < len(row)) for at in range(width))


def guess_type(cells: Iterable[str]) -> str:
    """The narrowest type that fits every cell that is not empty; text where none does, or there is no such cell."""
    filled = {cell.strip() for cell in cells} - {""}
    fitting = (name for name, fits in TYPES.items() if filled and all(map(fits, filled)))
    return next(fitting, TEXT)
