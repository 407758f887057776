"""What is in files that people send, as web servers ask: looked at in children, so that no file harms anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection

from jobs import files
from jobs.files.shape import Given
from jobs.ingest import limits
from jobs.ingest.preview import Preview
from jobs.ingest.sandbox import Budget, Sandbox, Session, Slots

MB: Final = 1_000_000
NO_END: Final = 1 << 40

Row = tuple[str, Sequence[str]]  # why it is bad, or nothing, and its cells

SANDBOX: Final = Sandbox("jobs.ingest.sandbox.tasks", Slots(size=6, share=2, queue=4, timeout=10.0))
DOWNLOADS: Final = Slots(size=4, share=1, queue=2, timeout=10.0)  # each as long as somebody reads what comes of it


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is: how it is read, which option cannot be (option → sentence), a workbook's sheets, first rows."""

    shape: files.Shape
    wrong: dict[str, str]
    sheets: tuple[str, ...]
    preview: Preview | None


def of_file(stream: IO[bytes], name: str, given: Given, size: int, person: int, *, rows: bool = False) -> Inspection:
    """A whole file, under options that may be given; with `rows` the first of them. Raises Unreadable."""
    return _found("look", stream, name, given, size, person, rows=rows)


def of_shape(stream: IO[bytes], name: str, shape: files.Shape, size: int, person: int) -> Inspection:
    """A whole file that is read as `shape` says, with its first rows. Raises Unreadable."""
    return _found("look", stream, name, {}, size, person, rows=True, shape=shape.to_dict())


def of_head(head: bytes, name: str, given: Given, size: int, person: int) -> Inspection:
    """A file of `size` bytes that begins with `head`. Raises Unreadable, and Partial where all of it is needed."""
    return _found("look_at_head", ContentFile(head), name, given, size, person)


def warm_up() -> None:
    """Starts what looks at files, so that it is ready by the time that somebody has chosen one."""
    SANDBOX.server.warm()


@contextmanager
def rows_of(stream: IO[bytes], name: str, size: int, person: int | None) -> Iterator[Rows]:
    """The rows of a file that has a header. Raises Unreadable."""
    _release_connection()
    budget = budget_for_rows(size)
    with SANDBOX.open("corrections", stream, budget, person, limits=asdict(limits.limits()), name=name) as session:
        yield Rows(session)


class Rows:
    """The header of a file, and its rows once, in batches that are small in rows and bytes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.columns: list[str] = session.receive()

    def read(self, wanted: Sequence[str]) -> Iterator[list[Row]]:
        """With the cells of the columns that are wanted. Raises Unreadable where the file turns out to be none."""
        self._session.send(wanted)
        while True:
            try:
                yield self._session.receive()
            except EOFError:
                return


@contextmanager
def reading(stream: IO[bytes], shape: files.Shape, size: int, person: int | None) -> Iterator[Reading]:
    """All rows of a file, for a download that goes on for as long as somebody reads it. Raises Unreadable."""
    _release_connection()
    known = {"limits": asdict(limits.limits()), "shape": shape.to_dict()}
    with SANDBOX.open("rows", stream, budget_for_rows(size), person, DOWNLOADS, **known) as session:
        yield Reading(session, shape)


class Reading(Iterator[files.Row]):
    """What `files.Reader` is, of a file that a child reads."""

    def __init__(self, session: Session, shape: files.Shape) -> None:
        self.shape = shape
        self.columns = shape.columns
        self.rows = 0
        self.blank = 0
        self._session = session
        self._told = self._tell()

    def __next__(self) -> files.Row:
        return next(self._told)

    def _tell(self) -> Iterator[files.Row]:
        while isinstance(batch := self._session.receive(), list):
            for reason, kind, payload, blank in batch:
                self.rows += 1
                self.blank = blank
                yield files.Row(payload, files.Reason(kind, reason)) if reason else good(payload)
        self.blank = batch


def good(payload: str) -> files.Row:
    return files.Row(payload, "", json.loads(payload))


def _found(task: str, stream: IO[bytes], name: str, given: Given, size: int, person: int, **more: Any) -> Inspection:
    _release_connection()
    arguments = {"limits": asdict(limits.limits()), "name": name, "given": given, "size": size, **more}
    told = SANDBOX.call(task, stream, budget_for(size), person, **arguments)
    preview = Preview.from_dict(told["preview"]) if told["preview"] else None
    return Inspection(files.Shape.from_dict(told["shape"]), told["wrong"], tuple(told["sheets"]), preview)


def budget_for(size: int) -> Budget:
    """To look at a file of so many bytes. All of it is read for its encoding, or unpacked for its texts."""
    seconds = min(10 + size / (10 * MB), 40)
    return Budget(cpu=seconds, wait=2 * seconds, memory=settings.JOBS_INSPECTION_MEMORY_MB * MB)


def budget_for_rows(size: int) -> Budget:
    """To read a file of so many bytes to its end. A million rows of a workbook take 36 s, measured, and have 30 MB."""
    seconds = min(20 + 3 * size / MB, 300)
    memory = settings.JOBS_INSPECTION_MEMORY_MB * MB
    return Budget(cpu=seconds, wait=2 * seconds, memory=memory, output=NO_END)


def _release_connection() -> None:
    """Lets other pages have the database's connection meanwhile, of which a web server has only some."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
