"""Between a row and its payload, the JSON text under which it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from json import encoder
from typing import Any

from jobs.files.shape import Shape

BARE = "value"  # the column of a JSON Lines file whose lines are no objects
SHOWN = 1_000  # characters of a bad row's cell that are kept

quote = encoder.encode_basestring  # a string as JSON text, characters outside of ASCII as they are

_SURROGATE = re.compile("[\ud800-\udfff]")
_space = re.compile(r"[ \t\r\n]*").match


class _Number(float):
    """A float that remembers how it was written, so that 10.50 stays 10.50 in a result."""

    __slots__ = ("text",)
    text: str


def _number(text: str) -> _Number:
    number = _Number(text)
    number.text = text
    return number


_encode = json.JSONEncoder(ensure_ascii=False).encode
_plain = json.JSONDecoder().decode
_raw = json.JSONDecoder().raw_decode
_as_written = json.JSONDecoder(parse_float=_number).decode


def first_surrogate(text: str) -> str:
    """The first half of a surrogate pair that stands alone (what an undecodable byte became), or an empty string."""
    # Half a pair is not printable, and both questions are answered long before an expression has looked.
    if text.isascii() or text.isprintable():
        return ""
    found = _SURROGATE.search(text)
    return found.group() if found else ""


def harmless(text: str) -> str:
    """The text with nothing that a database or an encoder refuses: lone surrogates and NUL get stand-ins."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def plain_array(cells: Sequence[str]) -> str:
    """The cells as a JSON array where they hold nothing that JSON escapes and no lone surrogate, as most do; else "".

    JSON escapes quotes, backslashes and control characters; these, and lone surrogates, are not printable.
    """
    text = '","'.join(cells)
    if text.isprintable() and "\\" not in text and text.count('"') == 2 * len(cells) - 2:
        return f'["{text}"]'
    return ""


def escaped_array(cells: Sequence[str]) -> str:
    """The cells as a JSON array, whatever they hold."""
    return "[" + ",".join(map(quote, cells)) + "]"


def sound_array(cells: Sequence[str]) -> str:
    """The cells as a JSON array; nothing where one holds a lone surrogate."""
    text = escaped_array(cells)
    return "" if first_surrogate(text) else text


def array_text(cells: Sequence[str]) -> str:
    """The cells as a JSON array; several times faster than json.dumps."""
    return plain_array(cells) or escaped_array(cells)


def shortened(cells: Sequence[str], columns: int) -> list[str]:
    """Harmless copies of a bad row's cells, as many and as long as is worth keeping."""
    return [harmless(cell if len(cell) <= SHOWN else cell[:SHOWN] + "…") for cell in cells[:columns]]


def columns_of(payload: str, shape: Shape) -> list[str]:
    """The columns that this row fills: a tabular file's own, an object's keys, or `value`."""
    if shape.tabular:
        return list(shape.columns)
    value = json.loads(payload)
    return list(value) if isinstance(value, dict) else [BARE]


def cells(payload: str, shape: Shape, columns: Sequence[str]) -> list[str]:
    """The row's cells under `columns`; missing ones are empty, nested JSON values stay JSON text."""
    if shape.tabular:
        row: list[str] = _plain(payload)
        width = len(columns)
        return row if len(row) == width else (row + [""] * width)[:width]
    fields = fields_of(_as_written(payload))
    return [cell_text(fields.get(column)) for column in columns]


def tables(payloads: Sequence[str], shape: Shape, columns: Sequence[str]) -> Iterator[list[Any]]:
    """What `cells` says of each payload; many at a time are read several times faster than one by one."""
    if not shape.tabular:
        for fields in map(fields_of, _as_written("[" + ",".join(payloads) + "]")):
            yield [cell_text(fields.get(column)) for column in columns]
        return
    width = len(columns)
    for row in _plain("[" + ",".join(payloads) + "]"):
        yield row if len(row) == width else (row + [""] * width)[:width]


def members(payload: str) -> dict[str, str]:
    """The values of a JSON object by their names, each as it is written; for text that was read as one before."""
    found: dict[str, str] = {}
    at = _past(payload, payload.index("{") + 1)
    while payload[at] != "}":
        name, at = _raw(payload, at)
        start = _past(payload, payload.index(":", at) + 1)
        _, end = _raw(payload, start)
        found[name] = payload[start:end]
        at = _past(payload, end)
        at = _past(payload, at + 1) if payload[at] == "," else at
    return found


def _past(text: str, at: int) -> int:
    """The place of the next character that is no space."""
    found = _space(text, at)
    return found.end() if found else at


def object_of(fields: Mapping[str, str]) -> str:
    """A JSON object of values that are written already; what no encoder takes of their names is escaped."""
    named = (f"{json.dumps(name, ensure_ascii=bool(first_surrogate(name)))}:{text}" for name, text in fields.items())
    return "{" + ",".join(named) + "}"


class Picker:
    """Takes the inputs of a processor out of payloads; `mapping` says which column each input comes from.

    A cell is text, empty where the row is too short; a JSON value keeps its type, and a missing one is None, as is the
    input of a column that does not exist.
    """

    def __init__(self, mapping: Mapping[str, str], columns: Sequence[str], shape: Shape) -> None:
        self._tabular = shape.tabular
        self._columns = {name: column for name, column in mapping.items() if column in columns}
        self._missing = dict.fromkeys(mapping.keys() - self._columns.keys())
        places = {column: at for at, column in enumerate(columns)}
        self._places = [(name, places[column]) for name, column in self._columns.items()]

    def __call__(self, payloads: Sequence[str]) -> list[dict[str, Any]]:
        """One dict of inputs for each payload. Many at a time are read several times faster than one by one."""
        rows = _plain("[" + ",".join(payloads) + "]")
        return list(map(self._of_cells if self._tabular else self._of_fields, rows))

    def of(self, value: Any) -> dict[str, Any]:
        """The inputs in a payload that was read already."""
        return self._of_cells(value) if self._tabular else self._of_fields(value)

    def _of_cells(self, row: list[str]) -> dict[str, Any]:
        width = len(row)
        return {name: row[at] if at < width else "" for name, at in self._places} | self._missing

    def _of_fields(self, item: Any) -> dict[str, Any]:
        fields = fields_of(item)
        return {name: fields.get(column) for name, column in self._columns.items()} | self._missing


def cell_text(item: Any) -> str:
    """A JSON value as one cell: strings as they are, null as nothing, the rest as JSON."""
    if isinstance(item, str):
        return harmless(item)
    if item is None:
        return ""
    if isinstance(item, _Number):
        return item.text
    if type(item) is int:  # and no bool; much faster than the encoder
        return str(item)
    return harmless(_encode(item))


def fields_of(item: Any) -> dict[str, Any]:
    """A line of JSON Lines as columns: an object's own, or one for any other value."""
    return item if isinstance(item, dict) else {BARE: item}
