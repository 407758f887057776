"""Rows out: the result of a job as CSV and JSON Lines, in chunks of text so that long downloads stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.files.formula import FIRST, guard
from jobs.files.payload import cell_text, cells, quote
from jobs.files.shape import Shape

_load = json.JSONDecoder().decode

BEFORE = ("row", "state")
AFTER = ("error_kind", "error", "attempts", "seconds")
PREFIX = "batchweb."


@dataclass(frozen=True, slots=True)
class Result:
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


def result_header(columns: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The names of a result's columns: the file's own, then ours, with a prefix where the file has the name too.

    `keys` are the keys of the results' objects; an empty one stands for results that are no objects.
    """
    results = (f"result.{key}" if key else "result" for key in keys)
    names = list(columns)
    taken = set(columns)
    for name in (*BEFORE, *results, *AFTER):
        while name in taken:
            name = PREFIX + name
        taken.add(name)
        names.append(name)
    return names


def csv_line(names: Iterable[str]) -> str:
    """One record of guarded cells, such as a header."""
    return csv_records([[guard(name) for name in names]])


def csv_records(records: Iterable[Sequence[Any]]) -> str:
    """Records as RFC 4180 text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue()


def csv_chunk(results: Iterable[Result], columns: Sequence[str], keys: Sequence[str], shape: Shape) -> str:
    """The records of these results under result_header(columns, keys), without that header."""
    return csv_records([_guarded(_record(result, columns, keys, shape)) for result in results])


def _guarded(record: list[str]) -> list[str]:
    return [guard(cell) if cell and cell[0] in FIRST else cell for cell in record]


def _record(result: Result, columns: Sequence[str], keys: Sequence[str], shape: Shape) -> list[str]:
    record = cells(result.payload, shape, columns)
    record += (str(result.row), result.state)
    record += _values(result.result, keys)
    record += (result.error_kind, result.error, str(result.attempts), _seconds(result.seconds))
    return record


def _values(text: str, keys: Sequence[str]) -> list[str]:
    if not text:
        return [""] * len(keys)
    value = _load(text)
    fields = value if isinstance(value, dict) else {"": value}
    return [cell_text(fields.get(key)) for key in keys]


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"


def jsonl_chunk(results: Iterable[Result], columns: Sequence[str], keys: Sequence[str], shape: Shape) -> str:
    """These results as JSON Lines: the row as `input`, the result as it was stored. Nothing is guarded here."""
    names = [quote(column) for column in columns]
    return "".join([_line(result, names, shape) for result in results])


def _line(result: Result, names: Sequence[str], shape: Shape) -> str:
    row = _object(result.payload, names) if shape.tabular else result.payload
    seconds = "null" if result.seconds is None else f"{result.seconds:.3f}"
    return (
        f'{{"row":{result.row},"state":{quote(result.state)},"input":{row},"result":{result.result or "null"},'
        f'"error_kind":{quote(result.error_kind)},"error":{quote(result.error)},"attempts":{result.attempts},'
        f'"seconds":{seconds},"key":{quote(result.key)}}}\n'
    )


def _object(payload: str, names: Sequence[str]) -> str:
    row: list[str] = _load(payload)
    extra = (quote(f"column {position}") for position in range(len(names) + 1, len(row) + 1))
    return "{" + ",".join(f"{name}:{quote(cell)}" for name, cell in zip((*names, *extra), row, strict=False)) + "}"
