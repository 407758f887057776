"""What a child does with a file: recognise it, list its sheets, preview it, read it to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import IO, Any, Final, TypeVar, cast

from jobs import files
from jobs.files.shape import Given
from jobs.ingest import preview
from jobs.ingest.sandbox.child import Channel, Tasks

BATCH_BYTES: Final = 1_000_000  # of the rows that are told at once, about
BATCH_ROWS: Final = 500

T = TypeVar("T")
Told = tuple[str, Sequence[str]]  # why a row is bad, or nothing, and its cells
Whole = tuple[str, str, str, int]


def look(
    stream: IO[bytes], channel: Channel, *, limits: dict[str, int], name: str, given: Given, size: int,
    rows: bool, shape: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Tells what a whole file is under the options in `given`, or under a known shape; with `rows` its first ones."""
    bounds = files.Limits(**limits)
    wrong: dict[str, str] = {}
    if shape is None:
        found, wrong = understood(lambda said: files.recognise(stream, name, bounds, **said), given)
    else:
        found = files.Shape.from_dict(shape)
    sheets = sheets_of(stream, found, bounds)
    shown = preview.of_file(stream, found, size, bounds).to_dict() if rows else None
    channel.send({"shape": found.to_dict(), "wrong": wrong, "sheets": sheets, "preview": shown})


def look_at_head(
    stream: IO[bytes], channel: Channel, *, limits: dict[str, int], name: str, given: Given, size: int
) -> None:
    """The same for a stream that is the first part of a file of `size` bytes."""
    bounds, head = files.Limits(**limits), stream.read()
    complete = size <= len(head)
    found, wrong = understood(lambda said: files.sniff(head, name, complete=complete, limits=bounds, **said), given)
    shown = preview.of_head(head, found, size, bounds).to_dict()
    sheets = sheets_of(BytesIO(head), found, bounds)
    channel.send({"shape": found.to_dict(), "wrong": wrong, "sheets": sheets, "preview": shown})


def corrections(stream: IO[bytes], channel: Channel, *, limits: dict[str, int], name: str) -> None:
    """Tells the columns of a file with a header, hears which of them are wanted, and tells these of all its rows."""
    bounds = files.Limits(**limits)
    shape = files.recognise(stream, name, bounds, header=True)
    channel.send(list(shape.columns))
    wanted = channel.receive()
    at = [shape.columns.index(column) for column in wanted]
    for batch in batches(cells_of(files.read(stream, shape, bounds), shape, at), lambda row: sum(map(len, row[1]))):
        channel.send(batch)


def rows(stream: IO[bytes], channel: Channel, *, limits: dict[str, int], shape: dict[str, Any]) -> None:
    """Tells all rows of a file that is read as `shape` says, and in the end how many blank lines it has."""
    reader = files.read(stream, files.Shape.from_dict(shape), files.Limits(**limits))
    for batch in batches(whole(reader), lambda row: len(row[2])):
        channel.send(batch)
    channel.send(reader.blank)


def whole(reader: files.Reader) -> Iterator[Whole]:
    """Of each row why it is bad, which kind of problem that is, its payload, and the blank lines up to it."""
    for row in reader:
        yield str(row.reason), getattr(row.reason, "kind", ""), row.payload, reader.blank


def understood(look: Callable[[Given], files.Shape], given: Given) -> tuple[files.Shape, dict[str, str]]:
    """The shape under what is given, but for an option that cannot be, which comes with the sentence that says why.

    Raises Unreadable where no option is to blame.
    """
    try:
        return look(given), {}
    except files.Partial:
        raise
    except files.Unreadable as error:
        sentence = str(error)
    for name in given:
        rest = {option: value for option, value in given.items() if option != name}
        with suppress(files.Unreadable):
            return look(cast(Given, rest)), {name: sentence}
    return look({}), {next(iter(given), "format"): sentence}


def sheets_of(stream: IO[bytes], shape: files.Shape, limits: files.Limits) -> tuple[str, ...]:
    """The names of a workbook's sheets; leaves the stream at its beginning."""
    stream.seek(0)
    found = files.sheets(stream, limits) if shape.format == "xlsx" else ()
    stream.seek(0)
    return found


def cells_of(rows: Iterable[files.Row], shape: files.Shape, at: Sequence[int]) -> Iterator[Told]:
    """Of each row the cells at these places, with the guard against formulas undone."""
    for row in rows:
        if row.reason:
            yield str(row.reason), ()
            continue
        cells = files.cells(row.payload, shape, shape.columns)
        yield "", [files.unguard(cells[place]) if shape.tabular else cells[place] for place in at]


def batches(rows: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """The rows together, so that neither their number nor their size is large; one row alone may be.

    Raises Unreadable where `rows` does, when it has told those before.
    """
    batch: list[T] = []
    held = 0
    try:
        for row in rows:
            batch.append(row)
            held += size(row)
            if held >= BATCH_BYTES or len(batch) >= BATCH_ROWS:
                yield batch
                batch, held = [], 0
    except files.Unreadable:
        yield batch
        raise
    if batch:
        yield batch


TASKS: Final[Tasks] = {"look": look, "look_at_head": look_at_head, "corrections": corrections, "rows": rows}
