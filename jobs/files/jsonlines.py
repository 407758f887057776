"""Rows of JSON Lines: one JSON value a line, mostly objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from jobs.files.encoding import undecodable
from jobs.files.lines import Lines
from jobs.files.payload import BARE, first_surrogate, quote, shortened
from jobs.files.shape import BROKEN, DEEP, LIMITS, LONG, MANY, Limits, Reason, Row, Shape

SPACE = " \t\r\n"
LONGEST = 10_000  # characters of a key that becomes a column: all of them stay in memory
VALUES = 300_000  # of one row: an empty list takes 30 times its text, and pages take apart no more

_NESTING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)
_LINE_ENDS = re.compile(r"[\r\n]+")


class _NotJson(ValueError):
    """A line that Python would read and JSON does not allow."""


def _refuse(constant: str) -> NoReturn:
    raise _NotJson(f"{constant} is no JSON value")


decoder = json.JSONDecoder(parse_constant=_refuse)


class Columns:
    """The union of all keys in the order in which they appeared, as far as the limit on columns goes."""

    def __init__(self, known: tuple[str, ...], limit: int) -> None:
        self._names = dict.fromkeys(known)
        self._limit = limit

    def add(self, value: Any) -> None:
        """Notes what is new in this row."""
        fields = value if type(value) is dict else {BARE: value}
        if fields.keys() <= self._names.keys():
            return
        for name in fields:
            if (
                len(self._names) < self._limit
                and len(name) <= LONGEST
                and not first_surrogate(name)
                and "\0" not in name
            ):
                self._names.setdefault(name)

    def names(self) -> tuple[str, ...]:
        """What was seen up to now."""
        return tuple(self._names)


def rows(lines: Lines, shape: Shape, limits: Limits, columns: Columns) -> Iterator[Row | None]:
    """The file's rows, None for each blank line; new keys go to `columns`."""
    for line in lines:
        if lines.is_too_long(line):
            if lines.is_cut(line):
                sum(map(len, lines.skip()))
            yield bad(line, Reason(LONG, f"is longer than {limits.row_bytes:,} bytes"))
            continue
        text = line.strip(SPACE)
        yield row(text, shape, limits, columns) if text else None


def row(text: str, shape: Shape, limits: Limits, columns: Columns) -> Row:
    """The row of one value's text."""
    value, reason = parse(text, limits)
    return judged(text, value, reason, shape, columns)


def judged(text: str, value: Any, reason: str, shape: Shape, columns: Columns) -> Row:
    """The row of a value that was decoded already, and of what is wrong with it."""
    if first_surrogate(text):
        reason = undecodable(text, shape.encoding)
    if reason:
        return bad(text, reason)
    columns.add(value)
    return Row(text, "", value)


def bad(text: str, reason: str) -> Row:
    """A bad row that keeps the beginning of its text."""
    return Row(quote(shortened([text], 1)[0]), reason)


def parse(text: str, limits: Limits) -> tuple[Any, str]:
    """The value of one line and an empty reason, or None and why it is not one."""
    if has_too_many(text):
        return None, _too_many()
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        # How deep the decoder itself goes before it gives up depends on the version of Python.
        if nests_deeper(text, limits.json_depth):
            return None, _too_deep(limits)
        message = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        return None, Reason(BROKEN, f"is not valid JSON: {message} at character {error.pos + 1}")
    except RecursionError:
        return None, _too_deep(limits)
    except _NotJson as error:
        return None, Reason(BROKEN, f"is not valid JSON: {error}")
    except ValueError:
        return None, Reason(LONG, "holds a number of more than 4,300 digits")
    return value, over(text, value, limits)


def nests_deeper(text: str, most: int) -> bool:
    """Whether brackets stand more than `most` deep in a text, broken or not; those in strings do not count."""
    if text.count("[") + text.count("{") <= most:
        return False
    level = 0
    for found in _NESTING.finditer(text):
        level += (found[0] in "[{") - (found[0] in "]}")
        if level > most:
            return True
    return False


def spelled(text: str, limits: Limits = LIMITS) -> str:
    """The text as one line where it spells a JSON value, else nothing."""
    # Inside of strings JSON allows no line ends as they are.
    return "" if parse(text, limits)[1] else _LINE_ENDS.sub(" ", text).strip(SPACE)


def over(text: str, value: Any, limits: Limits) -> str:
    """Why a value goes over a limit, or nothing."""
    if has_too_many(text):
        return _too_many()
    # Counting brackets is far cheaper than walking the value, and nearly always enough.
    if text.count("[") + text.count("{") > limits.json_depth and depth(value) > limits.json_depth:
        return _too_deep(limits)
    if not isinstance(value, dict):
        return ""
    if len(value) > limits.columns:
        return Reason(MANY, f"has {len(value):,} keys, the limit is {limits.columns:,}")
    if len(text) > limits.cell_chars:
        return _long_string(value, limits)
    return ""


def _long_string(value: dict[str, Any], limits: Limits) -> str:
    for key, item in value.items():
        if isinstance(item, str) and len(item) > limits.cell_chars:
            return Reason(
                LONG, f"has {len(item):,} characters in column {key[:80]}, the limit is {limits.cell_chars:,}"
            )
    return ""


def has_too_many(text: str, start: int = 0) -> bool:
    """Whether a text may hold more values than memory has room for; commas in its strings count, too."""
    return len(text) - start > VALUES and sum(text.count(mark, start) for mark in ",[{") > VALUES


def _too_many() -> str:
    return Reason(MANY, f"holds more than {VALUES:,} values")


def _too_deep(limits: Limits) -> str:
    return Reason(DEEP, f"is nested deeper than {limits.json_depth:,} levels")


def depth(value: Any) -> int:
    """How many arrays and objects lie in one another; without recursion."""
    levels = 0
    layer = [value]
    while layer := [item for item in layer if isinstance(item, (dict, list))]:
        levels += 1
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, dict) else item)]
    return levels
