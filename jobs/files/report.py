"""The preflight: reads a whole file, stores nothing, and says what it is and what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

from jobs.files.lines import Readable
from jobs.files.reading import Reader, open_rows
from jobs.files.shape import LIMITS, Given, Limits

SHOWN = 1_000  # bad rows that are listed


@dataclass(frozen=True, slots=True)
class Report:
    """What a preflight found. `rows` counts the bad ones too; a bad row is (row from 1 without the header, reason)."""

    format: str
    encoding: str
    delimiter: str
    header: bool
    columns: tuple[str, ...]
    rows: int
    bad: tuple[tuple[int, str], ...]
    bad_total: int

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        bad = [{"row": row, "reason": reason} for row, reason in self.bad]
        return asdict(self) | {"columns": list(self.columns), "bad": bad}


def preflight(
    source: str | os.PathLike[str] | Readable, name: str = "", limits: Limits = LIMITS, **given: Unpack[Given]
) -> Report:
    """Reads all of a file (a path, or a binary stream at its beginning). Raises Unreadable, or OSError for a path."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with path.open("rb") as stream:
            return _report(open_rows(stream, name or path.name, limits, **given))
    return _report(open_rows(source, name, limits, **given))


def _report(reader: Reader) -> Report:
    bad: list[tuple[int, str]] = []
    bad_total = 0
    for number, row in enumerate(reader, 1):
        if row.reason:
            bad_total += 1
            if bad_total <= SHOWN:
                bad.append((number, row.reason))
    shape = reader.shape
    return Report(
        format=shape.format,
        encoding=shape.encoding,
        delimiter=shape.delimiter,
        header=shape.header,
        columns=reader.columns,
        rows=reader.rows,
        bad=tuple(bad),
        bad_total=bad_total,
    )
