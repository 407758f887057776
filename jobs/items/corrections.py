"""Corrected rows that come back: which items of a job they belong to, and what they change.

A file of corrections is a `failed.csv` (or a result) that somebody fixed, in any format that jobs are made of. Its
rows are matched by the column `row`, or by the key where there is none. Columns that the job does not have, among them
those which say what went wrong, are passed over; a column that is missing stays as it was.

The file is read in a child (see `jobs.ingest.inspection`); what is compared with it, and kept of that, is bounded in
bytes.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final, NamedTuple

from django.conf import settings
from django.db.models import Func, IntegerField

from jobs import files
from jobs.files import jsonlines, payload
from jobs.ingest import inspection, labels, validation
from jobs.items import payloads
from jobs.models import Item, ItemState, Job, Upload
from jobs.models.job import Refused
from jobs.store import dialect
from jobs.store.requeue import CorrectedItem

SIZE: Final = 4_000_000  # bytes of items that are compared at once, but for one that is larger
SHOWN: Final = 100  # of each sort
WIDE: Final = 40  # cells of a change that are shown
LONG: Final = 300  # characters of each
FIXABLE: Final = (ItemState.FAILED, ItemState.REJECTED)

RESULT: Final = ("result", "batchweb.result")

_ROW: Final = re.compile(r"([0-9]{1,9})(?:\.0+)?")


class InvalidCorrection(ValueError):
    """The file holds no corrections of this job. The message is a sentence for the person who chose it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a row of the file changes: (column, old, new) of each cell that differs; nothing where none does."""

    position: int
    cells: tuple[tuple[str, str, str], ...]
    more: int = 0  # cells that are not among these

    @property
    def row(self) -> int:
        return self.position + 1

    def brief(self) -> Difference:
        """As much of it as a page shows."""
        cells = tuple((column[:LONG], old[:LONG], new[:LONG]) for column, old, new in self.cells[:WIDE])
        return Difference(self.position, cells, len(self.cells) - len(cells))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Difference):
    """A difference, and what the item becomes by it."""

    fixed: CorrectedItem


@dataclass(frozen=True, slots=True)
class SkippedRow:
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
    changes: list[Difference] = field(default_factory=list)
    first_problems: list[SkippedRow] = field(default_factory=list)
    first_left: list[SkippedRow] = field(default_factory=list)

    def count(self, found: Change | SkippedRow | Left) -> None:
        self.rows += 1
        if isinstance(found, Change):
            self.changed += bool(found.cells)
            self.unchanged += not found.cells
            if found.cells and len(self.changes) < SHOWN:
                self.changes.append(found.brief())
        elif isinstance(found, Left):
            self.left += 1
            if len(self.first_left) < SHOWN:
                self.first_left.append(found)
        else:
            self.problems += 1
            if len(self.first_problems) < SHOWN:
                self.first_problems.append(found)


@dataclass(frozen=True, slots=True)
class Left(SkippedRow):
    """A row whose item needs no correction: it has succeeded, or is worked on."""


def row_column(columns: Sequence[str]) -> str:
    """What the column of row numbers is called beside these, as `failed.csv` and the results call it."""
    return files.failure_header(columns)[len(columns)]


class Placed(NamedTuple):
    """A row of the file, counted from 1, the position of its item or why it has none, and its cells by column."""

    number: int
    at: int | SkippedRow
    cells: dict[str, str]


@contextmanager
def opened(job: Job, upload: Upload, person: int | None) -> Iterator[Corrections]:
    """The rows of a stored file of corrections, which has a header. Raises Unreadable and InvalidCorrection.

    `person` is the primary key of whoever wants to see it.
    """
    if not upload.file:
        raise InvalidCorrection("The stored file is gone.")
    with ExitStack() as stack:
        stream = stack.enter_context(upload.opened())
        rows = stack.enter_context(inspection.rows_of(stream, upload.name, upload.size, person))
        yield stack.enter_context(closing(Corrections(job, rows)))


class Changes:
    """What a file of corrections changes, in the order of the file; on the disk, for it may be large."""

    def __init__(self, store: IO[bytes], limit: int) -> None:
        self._store = store
        self._limit = limit
        self.unchanged: list[int] = []  # positions

    def add_all(self, rows: Iterable[Change | SkippedRow]) -> None:
        """Adds the changes among the rows of a file. Raises InvalidCorrection where they get too many."""
        for row in rows:
            if isinstance(row, Change):
                self.add(row)

    def add(self, change: Change) -> None:
        """Raises InvalidCorrection where it gets too much."""
        if not change.cells:
            self.unchanged.append(change.position)
            return
        one = change.fixed
        self._store.write(json.dumps([one.position, one.payload, one.label, one.key]).encode() + b"\n")
        if self._store.tell() > self._limit:
            raise InvalidCorrection(
                f"The changed rows have more than {self._limit:,} bytes. Send them in several files."
            )

    def fixed(self) -> Iterator[CorrectedItem]:
        self._store.seek(0)
        for line in self._store:
            yield CorrectedItem(*json.loads(line))


@contextmanager
def changes(job: Job, upload: Upload, person: int | None) -> Iterator[Changes]:
    """What a stored file of corrections changes, for as long as the block lasts. Raises Refused."""
    with tempfile.TemporaryFile() as store:
        found = Changes(store, settings.JOBS_MAX_UPLOAD_BYTES)
        try:
            with opened(job, upload, person) as rows:
                found.add_all(rows)
        except (files.Unreadable, InvalidCorrection) as error:
            raise Refused(str(error)) from error
        yield found


class Corrections:
    """The rows of one file of corrections, beside the items of the job that they belong to. Raises InvalidCorrection.

    Iterating reads the file once, from its beginning, and gives a Change or a SkippedRow for each of its rows.
    """

    def __init__(self, job: Job, rows: inspection.Rows) -> None:
        self.job = job
        self.rows = rows
        self.columns = rows.columns
        self.mine = [column for column in self.columns if column in job.columns]
        self.row_column = row_column(job.columns)
        self.key_column = next((name for name in (job.key_column, *files.KEY_COLUMNS) if name in self.mine), "")
        self.by = self.row_column if self.row_column in self.columns else self.key_column
        if not self.by:
            raise InvalidCorrection(
                f"The file has no column “{self.row_column}” that says which rows these are"
                + (f", and none called “{job.key_column}”, which holds their keys." if job.key_column else ".")
            )
        if self.mine in ([], [self.by]):
            raise InvalidCorrection("The file has none of the job's columns, so that it corrects nothing.")
        self.name, self.check = labels.namer(job), validation.check(job)
        self.wanted = list(dict.fromkeys([self.by, *self.mine]))
        self.seen = bytearray(job.total)  # a mark at each position
        self._known = None if self.by == self.row_column else self._positions_by_key()

    def close(self) -> None:
        if self._known:
            self._known.close()

    @property
    def passed_over(self) -> list[str]:
        """Columns of the file that are no business of the job's, but for those that we had written."""
        ours = {*files.failure_header(self.job.columns), *files.result_header(self.job.columns, ())}
        return [name for name in self.columns if name not in ours and not name.startswith(RESULT)]

    def __iter__(self) -> Iterator[Change | SkippedRow]:
        number = 1
        for batch in self.rows.read(self.wanted):
            yield from self._compared(enumerate(batch, number))
            number += len(batch)

    def compare(self) -> Comparison:
        """Counts everything, and keeps the first few of each sort. Raises Unreadable."""
        found = Comparison(by=self.by, passed_over=self.passed_over)
        for one in self:
            found.count(one)
        return found

    # Which item a row belongs to

    def _positions_by_key(self) -> sqlite3.Connection:
        """A table of the keys of the items that may be fixed; -1 where several have it.

        Millions of keys would fill the memory, so it goes to a file when it gets large, which ends with the connection.
        """
        found = sqlite3.connect("", isolation_level=None)
        found.execute("CREATE TABLE item (key TEXT PRIMARY KEY, position INTEGER) WITHOUT ROWID")
        items = self.job.read_items().filter(state__in=self._states()).exclude(key="").order_by("position")
        found.execute("BEGIN")
        found.executemany(
            "INSERT INTO item VALUES (?, ?) ON CONFLICT DO UPDATE SET position = -1",
            items.values_list("key", "position").iterator(),
        )
        return found

    def _states(self) -> tuple[ItemState, ...]:
        return (*FIXABLE, ItemState.PENDING) if self.job.ended else FIXABLE

    def _place(self, row: int, cells: Mapping[str, str]) -> int | SkippedRow:
        said = cells[self.by].strip()
        if self._known is not None:
            return self._by_key(row, said, self._known)
        found = _ROW.fullmatch(said.replace(",", "") if said.count(",") else said)
        if not found:
            return SkippedRow(
                row, f"“{said[:40]}” in “{self.by}” is no row number." if said else f"“{self.by}” is empty."
            )
        if not 1 <= int(found[1]) <= self.job.total:
            return SkippedRow(row, f"The job has no row {int(found[1]):,}; it has {self.job.total:,}.")
        return int(found[1]) - 1

    def _by_key(self, row: int, key: str, known: sqlite3.Connection) -> int | SkippedRow:
        if not key:
            return SkippedRow(row, f"“{self.by}” is empty, so that nothing says which row it is.")
        (position,) = known.execute("SELECT position FROM item WHERE key = ?", [key[:200]]).fetchone() or [None]
        if position is None:
            return SkippedRow(row, f"No failed item of the job has the key “{key[:40]}”.")
        if position < 0:
            return SkippedRow(
                row, f"Several items have the key “{key[:40]}”; the column “{self.row_column}” is needed."
            )
        return int(position)

    # What a row changes

    def _compared(self, rows: Iterable[tuple[int, inspection.Row]]) -> Iterator[Change | SkippedRow]:
        placed = [self._placed(number, reason, cells) for number, (reason, cells) in rows]
        for part in self._parts(placed):
            items = self._items([one.at for one in part if isinstance(one.at, int)])
            for number, at, cells in part:
                yield at if isinstance(at, SkippedRow) else self._change(number, items[at], cells)

    def _placed(self, number: int, reason: str, cells: Sequence[str]) -> Placed:
        if reason:
            return Placed(number, SkippedRow(number, f"The row {reason}."), {})
        found = dict(zip(self.wanted, cells, strict=True))
        at = self._place(number, found)
        if isinstance(at, int):
            if self.seen[at]:
                at = SkippedRow(number, f"Row {at + 1:,} stands in the file more than once; the first one counts.")
            else:
                self.seen[at] = True
        return Placed(number, at, found)

    def _parts(self, placed: Sequence[Placed]) -> Iterator[list[Placed]]:
        """The same rows, so many at a time that their items have no more than SIZE bytes."""
        positions = [one.at for one in placed if isinstance(one.at, int)]
        # OCTET_LENGTH need not unpack what is stored apart.
        measure = Func(
            "payload", function="OCTET_LENGTH" if dialect.postgres() else "LENGTH", output_field=IntegerField()
        )
        items = Item.objects.filter(job=self.job, position__in=positions)
        sizes = dict(items.values_list("position", measure))
        part: list[Placed] = []
        size = 0
        for one in placed:
            more = sizes[one.at] if isinstance(one.at, int) else 0
            if part and size + more > SIZE:
                yield part
                part, size = [], 0
            part.append(one)
            size += more
        if part:
            yield part

    def _items(self, positions: Sequence[int]) -> dict[int, Item]:
        found = Item.objects.filter(job=self.job, position__in=positions)
        return {item.position: item for item in found.only("position", "state", "payload", "key")}

    def _change(self, number: int, item: Item, cells: Mapping[str, str]) -> Change | SkippedRow:
        if item.state not in self._states():
            what = "has succeeded already" if item.state == ItemState.SUCCEEDED else "waits or runs"
            return Left(number, f"Row {item.row:,} {what}.")
        wanted = {column: cells[column] for column in self.mine}
        return change(self.job, item, wanted, self.name, self.check, number)


def fix(job: Job, item: Item, cells: Mapping[str, str]) -> Change | SkippedRow:
    """What these cells change in an item; for the form of one item."""
    return change(job, item, cells, labels.namer(job), validation.check(job), item.row)


def change(
    job: Job, item: Item, cells: Mapping[str, str], name: files.Name, check: files.Check | None, number: int
) -> Change | SkippedRow:
    """What `cells` change in an item, which are some of its columns, or why they cannot."""
    if too_many(job, item):
        return SkippedRow(number, f"Row {item.row:,} holds too many values to be fixed here.")
    before = dict(zip(job.columns, old_cells(job, item), strict=False))
    differ = tuple((column, before[column], new) for column, new in cells.items() if before[column] != new)
    if not differ:
        return Change(item.position, (), fixed=CorrectedItem(item.position, item.payload, "", item.key))
    text = with_changes(job, item, {column: new for column, _, new in differ})
    value = json.loads(text)
    reason = check(files.Row(text, value=value)) if check else ""
    if reason:
        return SkippedRow(number, f"Row {item.row:,} {reason}.")
    return Change(item.position, differ, fixed=CorrectedItem(item.position, text, *name(value)))


def too_many(job: Job, item: Item) -> bool:
    """Whether an item holds so many values that it is not taken apart."""
    return not job.file_shape.tabular and jsonlines.has_too_many(item.payload)


def old_cells(job: Job, item: Item) -> list[str]:
    """The item's cells; of a row that could not be read what was kept of it."""
    try:
        return payloads.cells(item.payload, job.file_shape, job.columns)
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
