"""Whether the first row names the columns, and what the columns are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

COMMON = frozenset(
    [
        *("address", "answer", "category", "city", "comment", "company", "content", "country", "customer", "date"),
        *("description", "document", "email", "id", "input", "item", "key", "keyword", "label", "link", "message"),
        *("name", "number", "phrase", "price", "prompt", "question", "queries", "query", "search", "sentence"),
        *("simulate", "subject", "summary", "term", "text", "title", "topic", "uri", "url", "urls", "user", "value"),
        *("website", "word"),
    ]
)
LOOKED_AT = 300  # characters of a cell: of what is longer they say enough
_DATA = re.compile(
    r"""
        [-+]?[$€£]?\s?\d[\d\s.,:/%eE+-]*+           # numbers, dates, times, percentages
      | \w++://\S*+ | www\.\S++ | \S[^\s@]*+@\S+\.\w+    # addresses
      | true | false | null | none | nan
      | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+          # UUIDs
      | [\[{].*                                     # JSON
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_IDENTIFIER = re.compile(r"[^\W\d][\w.-]*")


def is_header(records: Sequence[Sequence[str]]) -> bool:
    """A guess from the first records: names are no data themselves, and short, unique and unlike what stands below."""
    first, body = records[0], records[1:]
    named = [cell for cell in first if cell.strip()]
    if not named or any(map(_is_data, named)):
        return False
    columns = [[row[at] for row in body if at < len(row) and row[at].strip()] for at in range(len(first))]
    if len(first) > 1 and any(map(_holds_data, columns)):
        return True
    if len(set(named)) < len(first) or not all(map(_is_short, named)):
        return False
    if any(cell in column for cell, column in zip(first, columns, strict=True)):
        return False
    return len(first) > 1 or _names_one_column(first[0], columns[0])


def column_names(cells: Sequence[str]) -> tuple[str, ...]:
    """The header's cells, made unique: an empty one becomes `column 3`, a second `name` becomes `name 2`."""
    taken = {cell for cell in cells if cell.strip()}
    names: dict[str, None] = {}
    numbers: dict[str, int] = {}  # the last one that was given to a name, so that a thousand of it are no million looks
    for position, cell in enumerate(cells, 1):
        fresh = cell if cell.strip() else _free(f"column {position}", taken, numbers)
        name = _free(fresh, taken, numbers) if fresh in names else fresh
        taken.add(name)
        names[name] = None
    return tuple(names)


def numbered(width: int) -> tuple[str, ...]:
    """Names for the columns of a file without header."""
    return tuple(f"column {position}" for position in range(1, width + 1))


def _is_short(cell: str) -> bool:
    return len(cell.split()) <= 6 and len(cell) <= 60 and cell[-1] not in ".?!"


def _is_data(cell: str) -> bool:
    """Whether it is a number, a date, an address: what no name looks like."""
    return _DATA.fullmatch(cell.strip(), 0, LOOKED_AT) is not None


def _holds_data(column: Sequence[str]) -> bool:
    return sum(map(_is_data, column)) * 5 > len(column) * 4


def _names_one_column(cell: str, body: Sequence[str]) -> bool:
    words = cell.lower().replace("_", " ").replace("-", " ").split()
    if words and words[-1] in COMMON and len(words) <= 3:
        return True
    if not body or not _IDENTIFIER.fullmatch(cell):
        return False
    unlike = sum(1 for item in body if _is_data(item) or len(item.split()) > 2)
    return unlike * 10 >= len(body) * 9


def _free(name: str, taken: set[str], numbers: dict[str, int]) -> str:
    """The name itself, or with the first number that makes it new."""
    candidate, number = name, numbers.get(name, 1)
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    numbers[name] = number
    return candidate
