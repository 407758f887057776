"""Rows out: the result of a job as CSV, JSON Lines and JSON, in chunks of text so that long downloads stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jobs.files.flattening import Key, Spread, name
from jobs.files.formula import FIRST, guard
from jobs.files.payload import cell_text, quote, tables
from jobs.files.shape import Shape

_load = json.JSONDecoder().decode

BEFORE = ("row", "state")
AFTER = ("error_kind", "error", "attempts", "seconds", "key")
FAILURE = ("row", "error_kind", "error", "attempts")
PREFIX = "batchweb."
# What csv.writer writes as JSON would; it knows other names for true and for nothing.
PLAIN = frozenset({str, int, float, type(None)})


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


class Records:
    """Results as cells under result_header(columns, keys): texts of the file as they are, values of the results."""

    def __init__(self, columns: Sequence[str], keys: Sequence[Key], shape: Shape) -> None:
        self._columns, self._shape = columns, shape
        self._spread = Spread(keys)
        self._nothing = [None] * len(keys)

    def __call__(self, results: Sequence[Result]) -> Iterator[list[Any]]:
        """One record for each result, its numbers as numbers. Many at a time are read several times faster."""
        values = iter(_load("[" + ",".join([result.result for result in results if result.result]) + "]"))
        rows = tables([result.payload for result in results], self._shape, self._columns)
        for result, record in zip(results, rows, strict=True):
            row, state, _, text, kind, error, attempts, seconds, key = result
            record += (row, state)
            record += self._spread(next(values)) if text else self._nothing
            record += (kind, error, attempts, seconds, key)
            yield record


def csv_line(names: Iterable[str]) -> str:
    """One record of guarded cells, such as a header."""
    return csv_records([[guard(name) for name in names]])


def csv_records(records: Iterable[Sequence[Any]]) -> str:
    """Records as RFC 4180 text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue()


def csv_chunk(results: Sequence[Result], columns: Sequence[str], keys: Sequence[Key], shape: Shape) -> str:
    """The records of these results under result_header(columns, keys), without that header."""
    return guarded(_rounded(Records(columns, keys, shape)(results)))


def _rounded(records: Iterable[list[Any]]) -> Iterator[list[Any]]:
    for record in records:
        if record[-2] is not None:
            record[-2] = f"{record[-2]:.3f}"
        yield record


def failed_chunk(results: Sequence[Result], columns: Sequence[str], shape: Shape) -> str:
    """What is to be mended of these results, under failure_header(columns)."""
    rows = tables([result.payload for result in results], shape, columns)
    return guarded(
        [*cells, result.row, result.error_kind, result.error, result.attempts]
        for cells, result in zip(rows, results, strict=True)
    )


def guarded(records: Iterable[list[Any]]) -> str:
    """Records of any values as CSV that no program takes for formulas."""
    return csv_records([list(map(_cell, record)) for record in records])


def _cell(value: Any) -> Any:
    if type(value) is str:
        return guard(value) if value and value[0] in FIRST else value
    return value if type(value) in PLAIN else _cell(cell_text(value))


def jsonl_chunk(results: Iterable[Result], columns: Sequence[str], shape: Shape) -> str:
    """These results as JSON Lines: the row as `input`, the result as it was stored. Nothing is guarded here."""
    return "".join([f"{line}\n" for line in json_objects(results, columns, shape)])


def json_objects(results: Iterable[Result], columns: Sequence[str], shape: Shape) -> list[str]:
    names = [quote(column) for column in columns]
    return [_object(result, names, shape) for result in results]


def _object(result: Result, names: Sequence[str], shape: Shape) -> str:
    row = _input(result.payload, names) if shape.tabular else result.payload
    seconds = "null" if result.seconds is None else f"{result.seconds:.3f}"
    return (
        f'{{"row":{result.row},"state":{quote(result.state)},"input":{row},"result":{result.result or "null"},'
        f'"error_kind":{quote(result.error_kind)},"error":{quote(result.error)},"attempts":{result.attempts},'
        f'"seconds":{seconds},"key":{quote(result.key)}}}'
    )


def _input(payload: str, names: Sequence[str]) -> str:
    row: list[str] = _load(payload)
    extra = (quote(f"column {position}") for position in range(len(names) + 1, len(row) + 1))
    return "{" + ",".join(f"{name}:{quote(cell)}" for name, cell in zip((*names, *extra), row, strict=False)) + "}"
