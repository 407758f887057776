"""Corrected rows that come back: which items of a job they belong to, and what they change.

A file of corrections is a `failed.csv` (or a result) that somebody mended, in any format that jobs are made of. Its
rows are matched by the column `row`, or by the key where there is none. Columns that the job does not have, among them
those which say what went wrong, are passed over; a column that is missing stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from jobs import files, naming, sources
from jobs.files import jsonlines, payload
from jobs.models import Item, ItemState, Job, Upload
from jobs.models.job import Refused
from jobs.requeue import Mended

TOGETHER: Final = 500  # rows that are compared at once
SHOWN: Final = 100  # of each sort
LONGEST: Final = 1_000_000  # keys of items that may be mended, which are held to find them by
MENDABLE: Final = (ItemState.FAILED, ItemState.REJECTED)

RESULT: Final = ("result", "batchweb.result")

_ROW: Final = re.compile(r"([0-9]{1,9})(?:\.0+)?")


class Useless(ValueError):
    """The file holds no corrections of this job. The message is a sentence for the person who chose it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the file and what it changes: (column, old, new) of each cell that differs; nothing where none does."""

    position: int
    cells: tuple[tuple[str, str, str], ...]
    mended: Mended

    @property
    def row(self) -> int:
        return self.position + 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A row of the file, counted from 1, that changes nothing, and why not."""

    row: int
    text: str


@dataclass(slots=True)
class Comparison:
    """What a file of corrections comes to: counts, and the first few of each sort."""

    rows: int = 0
    changed: int = 0
    unchanged: int = 0
    left: int = 0
    problems: int = 0
    by: str = ""
    passed_over: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    first_problems: list[Problem] = field(default_factory=list)
    first_left: list[Problem] = field(default_factory=list)

    def count(self, found: Change | Problem | Left) -> None:
        self.rows += 1
        if isinstance(found, Change):
            self.changed += bool(found.cells)
            self.unchanged += not found.cells
            if found.cells and len(self.changes) < SHOWN:
                self.changes.append(found)
        elif isinstance(found, Left):
            self.left += 1
            if len(self.first_left) < SHOWN:
                self.first_left.append(found)
        else:
            self.problems += 1
            if len(self.first_problems) < SHOWN:
                self.first_problems.append(found)


@dataclass(frozen=True, slots=True)
class Left(Problem):
    """A row whose item needs no correction: it has succeeded, or is worked on."""


def row_column(columns: Sequence[str]) -> str:
    """What the column of row numbers is called beside these, as `failed.csv` and the results call it."""
    return files.failure_header(columns)[len(columns)]


@contextmanager
def opened(job: Job, upload: Upload) -> Iterator[Corrections]:
    """The rows of a stored file of corrections, which has a header. Raises Unreadable and Useless."""
    if not upload.file:
        raise Useless("The stored file is gone.")
    with upload.file.open("rb") as stream:
        shape = sources.recognise(stream, upload.name, header=True)
        yield Corrections(job, sources.read(stream, shape))


def changes(job: Job, upload: Upload, unchanged: bool) -> list[Change]:
    """What a stored file of corrections changes; with `unchanged` also its other rows. Raises Refused."""
    try:
        with opened(job, upload) as rows:
            return [row for row in rows if isinstance(row, Change) and (row.cells or unchanged)]
    except (files.Unreadable, Useless) as error:
        raise Refused(str(error)) from error


class Corrections:
    """The rows of one file of corrections, beside the items of the job that they belong to. Raises Useless.

    Iterating reads the file once, from its beginning, and gives a Change or a Problem for each of its rows.
    """

    def __init__(self, job: Job, reader: files.Reader) -> None:
        self.job = job
        self.reader = reader
        self.columns = list(reader.shape.columns)
        self.mine = [column for column in self.columns if column in job.columns]
        self.row_column = row_column(job.columns)
        self.key_column = next((name for name in (job.key_column, *files.KEY_COLUMNS) if name in self.mine), "")
        self.by = self.row_column if self.row_column in self.columns else self.key_column
        if not self.by:
            raise Useless(
                f"The file has no column “{self.row_column}” that says which rows these are"
                + (f", and none called “{job.key_column}”, which holds their keys." if job.key_column else ".")
            )
        if self.mine in ([], [self.by]):
            raise Useless("The file has none of the job's columns, so that it corrects nothing.")
        self.name, self.check = naming.namer(job), naming.check(job)
        self.seen: set[int] = set()
        self._known = None if self.by == self.row_column else self._positions_by_key()

    @property
    def passed_over(self) -> list[str]:
        """Columns of the file that are no business of the job's, but for those that we had written."""
        ours = {*files.failure_header(self.job.columns), *files.result_header(self.job.columns, ())}
        return [name for name in self.columns if name not in ours and not name.startswith(RESULT)]

    def __iter__(self) -> Iterator[Change | Problem]:
        rows = enumerate(self.reader, 1)
        while part := list(islice(rows, TOGETHER)):
            yield from self._compared(part)

    def compare(self) -> Comparison:
        """Counts everything, and keeps the first few of each sort. Raises Unreadable."""
        found = Comparison(by=self.by, passed_over=self.passed_over)
        for one in self:
            found.count(one)
        return found

    # Which item a row belongs to

    def _positions_by_key(self) -> dict[str, int]:
        """Key → position of the items that may be mended; -1 where several have it."""
        found: dict[str, int] = {}
        items = self.job.read_items().filter(state__in=self._states()).exclude(key="").order_by("position")
        for key, position in items.values_list("key", "position")[:LONGEST].iterator():
            found[key] = -1 if key in found else position
        return found

    def _states(self) -> tuple[ItemState, ...]:
        return (*MENDABLE, ItemState.PENDING) if self.job.ended else MENDABLE

    def _place(self, row: int, cells: Mapping[str, str]) -> int | Problem:
        said = cells[self.by].strip()
        if self._known is not None:
            return self._by_key(row, said)
        found = _ROW.fullmatch(said.replace(",", "") if said.count(",") else said)
        if not found:
            return Problem(row, f"“{said[:40]}” in “{self.by}” is no row number." if said else f"“{self.by}” is empty.")
        if not 1 <= int(found[1]) <= self.job.total:
            return Problem(row, f"The job has no row {int(found[1]):,}; it has {self.job.total:,}.")
        return int(found[1]) - 1

    def _by_key(self, row: int, key: str) -> int | Problem:
        position = (self._known or {}).get(key[:200])
        if not key:
            return Problem(row, f"“{self.by}” is empty, so that nothing says which row it is.")
        if position is None:
            return Problem(row, f"No failed item of the job has the key “{key[:40]}”.")
        if position < 0:
            return Problem(row, f"Several items have the key “{key[:40]}”; the column “{self.row_column}” is needed.")
        return position

    # What a row changes

    def _compared(self, part: Iterable[tuple[int, files.Row]]) -> Iterator[Change | Problem]:
        placed: list[tuple[int, int | Problem, dict[str, str]]] = []
        for number, row in part:
            cells = {} if row.reason else self._cells(row)
            placed.append((number, self._placed(number, row, cells), cells))
        items = self._items([at for _, at, _ in placed if isinstance(at, int)])
        for number, at, cells in placed:
            yield at if isinstance(at, Problem) else self._change(number, items[at], cells)

    def _placed(self, number: int, row: files.Row, cells: dict[str, str]) -> int | Problem:
        if row.reason:
            return Problem(number, f"The row {row.reason}.")
        at = self._place(number, cells)
        if isinstance(at, int):
            if at in self.seen:
                return Problem(number, f"Row {at + 1:,} stands in the file more than once; the first one counts.")
            self.seen.add(at)
        return at

    def _cells(self, row: files.Row) -> dict[str, str]:
        """The row's cells by their columns, with the guard against formulas undone."""
        cells = files.cells(row.payload, self.reader.shape, self.columns)
        if self.reader.shape.tabular:
            cells = [files.unguard(cell) for cell in cells]
        return dict(zip(self.columns, cells, strict=True))

    def _items(self, positions: Sequence[int]) -> dict[int, Item]:
        found = Item.objects.filter(job=self.job, position__in=positions)
        return {item.position: item for item in found.only("position", "state", "payload", "key")}

    def _change(self, number: int, item: Item, cells: Mapping[str, str]) -> Change | Problem:
        if item.state not in self._states():
            what = "has succeeded already" if item.state == ItemState.SUCCEEDED else "waits or runs"
            return Left(number, f"Row {item.row:,} {what}.")
        wanted = {column: cells[column] for column in self.mine}
        return change(self.job, item, wanted, self.name, self.check, number)


def mend(job: Job, item: Item, cells: Mapping[str, str]) -> Change | Problem:
    """What these cells change in an item; for the form of one item."""
    return change(job, item, cells, naming.namer(job), naming.check(job), item.row)


def change(
    job: Job, item: Item, cells: Mapping[str, str], name: files.Name, check: files.Check | None, number: int
) -> Change | Problem:
    """What `cells` change in an item, which are some of its columns, or why they cannot."""
    before = dict(zip(job.columns, old_cells(job, item), strict=False))
    differ = tuple((column, before[column], new) for column, new in cells.items() if before[column] != new)
    if not differ:
        return Change(item.position, (), Mended(item.position, item.payload, "", item.key))
    text = with_changes(job, item, {column: new for column, _, new in differ})
    value = json.loads(text)
    reason = check(files.Row(text, value=value)) if check else ""
    if reason:
        return Problem(number, f"Row {item.row:,} {reason}.")
    return Change(item.position, differ, Mended(item.position, text, *name(value)))


def old_cells(job: Job, item: Item) -> list[str]:
    """The item's cells; of a row that could not be read what was kept of it."""
    try:
        return files.cells(item.payload, job.file_shape, job.columns)
    except (ValueError, TypeError):
        return [""] * len(job.columns)


def with_changes(job: Job, item: Item, changes: Mapping[str, str]) -> str:
    """The item's payload with other cells; what else there is in a JSON object stays as it is written."""
    if job.file_shape.tabular:
        cells = zip(job.columns, old_cells(job, item), strict=True)
        return payload.array_text([changes.get(column, old) for column, old in cells])
    try:
        value = json.loads(item.payload)
    except ValueError:
        value = {}
    if not isinstance(value, dict) and payload.BARE in job.columns:
        return typed(changes[payload.BARE], value) if payload.BARE in changes else item.payload
    if not isinstance(value, dict):
        value = {}  # of a line that could not be read its text was kept
    fields = payload.members(item.payload) if value else {}
    return payload.object_of(fields | {name: typed(new, value.get(name)) for name, new in changes.items()})


def typed(text: str, before: Any) -> str:
    """A cell as JSON: text where there was text, else the value that it spells, if it spells one."""
    if isinstance(before, str):
        return payload.quote(text)
    return (jsonlines.spelled(text) if text else "null") or payload.quote(text)
