"""Rows of a workbook's sheet: the same cells of text that the sheet saved as CSV would have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from jobs.files.batching import batched
from jobs.files.csv_rows import checked, too_long, wrong_width
from jobs.files.header import column_names, is_header, numbered
from jobs.files.payload import array_text, harmless, shortened
from jobs.files.shape import ROOM, SAMPLE, Limits, Row, Shape, Unreadable
from jobs.files.workbook import Workbook
from jobs.files.xlsx_sheet import Record

LOOKED_AT = 50_000_000  # bytes of sheets in which the first of them must be


def sheets(stream: IO[bytes], limits: Limits) -> tuple[str, ...]:
    """The names of a workbook's sheets, hidden ones last. Raises Unreadable."""
    found = Workbook(stream, limits).sheets
    return tuple(sheet.name for sheet in sorted(found, key=lambda sheet: sheet.hidden))


def shape_of(stream: IO[bytes], limits: Limits, sheet: str = "", header: bool | None = None) -> Shape:
    """The shape of one sheet: the one that is named, else the first that has cells. Raises Unreadable."""
    book = Workbook(stream, limits)
    shown = [part.name for part in book.sheets if not part.hidden] or [part.name for part in book.sheets]
    left = LOOKED_AT
    for name in [sheet] if sheet else shown:
        found = book.sheet(name)
        records = next(batched(filter(None, found.rows(left)), SAMPLE, ROOM, _size), [])
        if records:
            return _shape(name, records, limits, header)
        left -= found.read
    raise Unreadable(f"The sheet {sheet!r} is empty." if sheet else "The workbook is empty.")


def _size(record: Record) -> int:
    return sum(map(len, record.cells))


def _shape(name: str, records: list[Record], limits: Limits, header: bool | None) -> Shape:
    width = max(record.width for record in records)
    if width > limits.columns:
        raise Unreadable(f"The sheet has {width:,} columns or more; the limit is {limits.columns:,}.")
    tables = [record.cells + [""] * (width - len(record.cells)) for record in records]
    named = is_header(tables) if header is None else header
    if named and len(records) == 1:
        raise Unreadable("The sheet has a header but no rows.")
    columns = column_names(list(map(harmless, tables[0]))) if named else numbered(width)
    return Shape("xlsx", "utf-8", header=named, columns=columns, sheet=name)


def rows(stream: IO[bytes], shape: Shape, limits: Limits) -> Iterator[Row | None]:
    """The sheet's rows, None for each blank one."""
    width = len(shape.columns)
    header = shape.header
    for record in Workbook(stream, limits).sheet(shape.sheet).rows():
        if record is None:
            yield None
        elif header:
            header = False
        else:
            yield _row(record, width, shape, limits)


def _row(record: Record, width: int, shape: Shape, limits: Limits) -> Row:
    cells = [cell.replace("\0", "\u2400") for cell in record.cells]
    if record.too_long:
        return too_long(cells, limits)
    if record.width > width:
        return Row(array_text(shortened(cells, limits.columns)), wrong_width(record.width, shape.columns))
    return checked(cells + [""] * (width - len(cells)), shape, limits)
