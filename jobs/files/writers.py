"""Rows out: the result of a job as CSV, JSON Lines and JSON, in chunks of text so that long downloads stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from jobs.files.flattening import Key, Spread, name
from jobs.files.formula import FIRST, guard
from jobs.files.payload import cell_text, quote, tables
from jobs.files.shape import Shape

_load = json.JSONDecoder().decode
_first = itemgetter(0)

BEFORE = ("row", "state")
AFTER = ("error_kind", "error", "attempts", "seconds", "key")
FAILURE = ("row", "error_kind", "error", "attempts")
PREFIX = "batchweb."
# What csv.writer writes as JSON would; it knows other names for true and for nothing.
NUMBERS = frozenset({int, float, type(None)})


# A plain tuple of what a Result has: as the database gives it, since to name its parts takes a tenth of the time.
Row: TypeAlias = tuple[int, str, str, str, str, str, int, float | None, str]


class Result(NamedTuple):
    """One row of a result, counted from 1. `payload` and `result` are JSON text, an empty `result` is none."""

    row: int
    state: str
    payload: str
    result: str = ""
    error_kind: str = ""
    error: str = ""
    attempts: int = 0
    seconds: float | None = None
    key: str = ""


def header(columns: Sequence[str], ours: Iterable[str]) -> list[str]:
    """The file's own columns, then ours, with a prefix where the name is taken."""
    names = list(columns)
    taken = set(columns)
    for one in ours:
        while one in taken:
            one = PREFIX + one
        taken.add(one)
        names.append(one)
    return names


def result_header(columns: Sequence[str], keys: Sequence[Key]) -> list[str]:
    """The names of a result's columns. `keys` are those of the results; an empty one stands for what has no other."""
    return header(columns, (*BEFORE, *map(name, keys), *AFTER))


def failure_header(columns: Sequence[str]) -> list[str]:
    return header(columns, FAILURE)


class Table:
    """Results taken apart for result_header(columns, keys)."""

    def __init__(self, columns: Sequence[str], keys: Sequence[Key], shape: Shape) -> None:
        self._columns, self._shape = columns, shape
        self._spread = Spread(keys)
        self._nothing = [None] * len(keys)

    def records(self, rows: Sequence[Row]) -> Iterator[list[Any]]:
        """Each row as one record: texts of the file as they are, numbers as numbers."""
        taken = zip(rows, self._cells(rows), self._values(rows), strict=True)
        for (row, state, _, _, kind, error, attempts, seconds, key), cells, values in taken:
            yield [*cells, row, state, *values, kind, error, attempts, seconds and round(seconds, 3), key]

    def csv(self, rows: Sequence[Row]) -> str:
        """The rows as CSV that no program takes for formulas.

        Made column by column, since few of them need a look at each of their cells.
        """
        if not rows:
            return ""
        row, state, _, _, kind, error, attempts, seconds, key = zip(*rows, strict=True)
        return csv_records(
            zip(
                *map(_texts, zip(*self._cells(rows), strict=True)),
                *(row, state, *map(_any, zip(*self._values(rows), strict=True)), _texts(kind), _texts(error), attempts),
                *(["" if one is None else f"{one:.3f}" for one in seconds], _texts(key)),
                strict=True,
            )
        )

    def _cells(self, rows: Sequence[Row]) -> Iterator[list[str]]:
        """The file's own cells of each row."""
        return tables([row[2] for row in rows], self._shape, self._columns)

    def _values(self, rows: Sequence[Row]) -> Iterator[Sequence[Any]]:
        """The values under the keys of each row, None where there is none.

        Many at a time are read several times faster than one by one.
        """
        values = iter(_load("[" + ",".join([row[3] for row in rows if row[3]]) + "]"))
        return (self._spread(next(values)) if row[3] else self._nothing for row in rows)


def _texts(column: Sequence[str]) -> Sequence[str]:
    """The same, guarded."""
    return column if FIRST.isdisjoint(map(_first, filter(None, column))) else list(map(guard, column))


def _any(column: Sequence[Any]) -> Sequence[Any]:
    """The same for values of all kinds."""
    return column if set(map(type, column)) <= NUMBERS else list(map(_cell, column))


def csv_line(names: Iterable[str]) -> str:
    """One record of guarded cells, such as a header."""
    return csv_records([[guard(name) for name in names]])


def csv_records(records: Iterable[Sequence[Any]]) -> str:
    """Records as RFC 4180 text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue()


def csv_chunk(rows: Sequence[Row], columns: Sequence[str], keys: Sequence[Key], shape: Shape) -> str:
    """The records of these results under result_header(columns, keys), without that header."""
    return Table(columns, keys, shape).csv(rows)


def failed_chunk(rows: Sequence[Row], columns: Sequence[str], shape: Shape) -> str:
    """What is to be fixed of these results, under failure_header(columns)."""
    found = zip(rows, tables([row[2] for row in rows], shape, columns), strict=True)
    records = ([*cells, row, kind, error, attempts] for (row, _, _, _, kind, error, attempts, *_), cells in found)
    return csv_records(list(map(_cell, record)) for record in records)


def _cell(value: Any) -> Any:
    if type(value) is str:
        return guard(value) if value and value[0] in FIRST else value
    return value if type(value) in NUMBERS else _cell(cell_text(value))


def jsonl_chunk(rows: Iterable[Row], columns: Sequence[str], shape: Shape) -> str:
    """These results as JSON Lines: the row as `input`, the result as it was stored. Nothing is guarded here."""
    return "".join([f"{line}\n" for line in json_objects(rows, columns, shape)])


def json_objects(rows: Iterable[Row], columns: Sequence[str], shape: Shape) -> list[str]:
    names = [quote(column) for column in columns]
    return [_object(row, names, shape) for row in rows]


def _object(result: Row, names: Sequence[str], shape: Shape) -> str:
    row, state, payload, text, kind, error, attempts, seconds, key = result
    return (
        f'{{"row":{row},"state":{quote(state)},"input":{_input(payload, names) if shape.tabular else payload},'
        f'"result":{text or "null"},"error_kind":{quote(kind)},"error":{quote(error)},"attempts":{attempts},'
        f'"seconds":{"null" if seconds is None else f"{seconds:.3f}"},"key":{quote(key)}}}'
    )


def _input(payload: str, names: Sequence[str]) -> str:
    row: list[str] = _load(payload)
    extra = (quote(f"column {position}") for position in range(len(names) + 1, len(row) + 1))
    return "{" + ",".join(f"{name}:{quote(cell)}" for name, cell in zip((*names, *extra), row, strict=False)) + "}"
