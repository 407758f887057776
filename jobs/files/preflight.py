"""The preflight: reads a whole file, stores nothing, and says what it is and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from jobs.files.columntypes import column_types
from jobs.files.labels import KEY_COLUMNS, naming
from jobs.files.lines import Readable
from jobs.files.payload import cells
from jobs.files.reading import Rows, open_rows
from jobs.files.seen_keys import Seen
from jobs.files.shape import LIMITS, SAMPLE, Given, Limits, Reason, Row

SHOWN = 1_000  # bad rows that a report lists
ROOM = 1_000_000  # characters of rows that the columns' types are guessed from
FIRST = 10  # rows that it lists of each group
DUPLICATE = "duplicate key"
REFUSED = "refused"

Check = Callable[[Row], str]


class Problem(NamedTuple):
    """Something to say about a row (from 1, without the header). A duplicate key is no bad row."""

    row: int
    kind: str
    reason: str

    @property
    def bad(self) -> bool:
        """Whether the row cannot be processed."""
        return self.kind != DUPLICATE


@dataclass(slots=True)
class Group:
    """The problems of one kind: how many, and the first of them."""

    kind: str
    count: int = 0
    first: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Counts one more."""
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append(problem)

    def to_dict(self) -> dict[str, Any]:
        """The group as plain JSON values."""
        return {"kind": self.kind, "count": self.count, "first": [_plain(problem) for problem in self.first]}


@dataclass(frozen=True, slots=True)
class Report:
    """What a preflight found. `rows` counts the bad ones too; a bad row is (row from 1 without the header, reason).

    `types` are guesses, one for each of the first columns; `duplicates` counts the rows whose key an earlier row has.
    """

    format: str
    encoding: str
    delimiter: str
    header: bool
    columns: tuple[str, ...]
    rows: int
    bad: tuple[tuple[int, str], ...]
    bad_total: int
    blank: int = 0
    duplicates: int = 0
    groups: tuple[Group, ...] = ()
    types: tuple[str, ...] = ()
    compression: str = ""
    sheet: str = ""
    path: str = ""

    @property
    def tabular(self) -> bool:
        """Whether there could be a header."""
        return self.format in ("csv", "tsv", "xlsx")

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self) | {
            "columns": list(self.columns),
            "types": list(self.types),
            "bad": [{"row": row, "reason": str(reason)} for row, reason in self.bad],
            "groups": [group.to_dict() for group in self.groups],
        }


class Findings:
    """What is found in a file while its rows pass by, in bounded memory.

    `check` says why a good row is refused all the same, or nothing.
    """

    def __init__(self, check: Check | None = None) -> None:
        self._check = check
        self._seen = Seen()
        self._groups: dict[str, Group] = {}
        self._bad: list[tuple[int, str]] = []
        self._sample: list[str] = []
        self._room = ROOM

    def look(self, number: int, row: Row, key: str) -> Sequence[Problem]:
        """The problems of one row (from 1) that has this key. Requires the rows in their order."""
        if row.reason:
            return self._noted(Problem(number, kind_of(row.reason), row.reason))
        if len(self._sample) < SAMPLE and len(row.payload) <= self._room:
            self._sample.append(row.payload)
            self._room -= len(row.payload)
        found: Sequence[Problem] = ()
        if self._check and (reason := self._check(row)):
            found = self._noted(Problem(number, kind_of(reason), reason))
        if key and (first := self._seen.add(key, number)):
            twice = Problem(number, DUPLICATE, f"has the key {key}, which row {first:,} has too")
            found = (*found, *self._noted(twice))
        return found

    def _noted(self, problem: Problem) -> tuple[Problem]:
        self._groups.setdefault(problem.kind, Group(problem.kind)).add(problem)
        if problem.bad and len(self._bad) < SHOWN:
            self._bad.append((problem.row, problem.reason))
        return (problem,)

    def report(self, reader: Rows) -> Report:
        """What was met up to now of the reader's file."""
        shape, columns = reader.shape, reader.columns
        duplicates = self._groups.get(DUPLICATE, Group(DUPLICATE)).count
        return Report(
            format=shape.format,
            encoding=shape.encoding,
            delimiter=shape.delimiter,
            header=shape.header,
            columns=columns,
            rows=reader.rows,
            bad=tuple(self._bad),
            bad_total=sum(group.count for group in self._groups.values()) - duplicates,
            blank=reader.blank,
            duplicates=duplicates,
            groups=tuple(self._groups.values()),
            types=column_types([cells(payload, shape, columns) for payload in self._sample]),
            compression=shape.compression,
            sheet=shape.sheet,
            path=shape.path,
        )


class Preflight(Iterator[Problem]):
    """The problems of a file in the order of its rows, each as it is met; rows without any are passed over.

    So it can be a download of any length. `reader.rows` counts while it goes on, and report() sums up what was met, in
    the end or before.
    """

    def __init__(self, reader: Rows, keys: Sequence[str] = KEY_COLUMNS, check: Check | None = None) -> None:
        self.reader = reader
        self._name = naming(reader.shape, "", keys)
        self._findings = Findings(check)
        self._problems = chain.from_iterable(self.by_row())

    def __next__(self) -> Problem:
        return next(self._problems)

    def by_row(self) -> Iterator[Sequence[Problem]]:
        """The problems of each row, of most of them none: for who also wants to know how far it is."""
        for number, row in enumerate(self.reader, 1):
            key = "" if row.reason else self._name(row.value)[1]
            yield self._findings.look(number, row, key)

    def report(self) -> Report:
        """What was met up to now."""
        return self._findings.report(self.reader)


def kind_of(reason: str) -> str:
    """The kind of problem that a reason is."""
    return reason.kind if isinstance(reason, Reason) else REFUSED


def preflight(
    source: str | os.PathLike[str] | Readable, name: str = "", limits: Limits = LIMITS, **given: Unpack[Given]
) -> Report:
    """Reads all of a file (a path, or a binary stream at its beginning). Raises Unreadable, or OSError for a path."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with path.open("rb") as stream:
            return preflight(stream, name or path.name, limits, **given)
    found = Preflight(open_rows(source, name, limits, **given))
    for _ in found:
        pass
    return found.report()


def _plain(problem: Problem) -> dict[str, Any]:
    return {"row": problem.row, "reason": str(problem.reason)}
