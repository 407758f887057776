"""What is shown of a file before it becomes a job: its first rows, their types, and about how many there are.

Reading a file may take any time and memory, so a web server has this done in a child, see `jobs.ingest.inspection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import IO, Any, Final

from jobs import files
from jobs.files.shape import SAMPLE
from jobs.humanize import counted

HEAD: Final = 256 * 1024  # bytes that are enough to recognise a file
SHOWN: Final = 5  # rows
COUNTED: Final = 20_000  # rows that are counted of what gzip packed
LOOKED_AT: Final = 1_000  # rows of a workbook
WIDE: Final = 40  # columns
LONG: Final = 300  # characters of a cell

Cells = tuple[list[str], str]


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a file as cells, each with the reason why it cannot be processed, and a type for each column.

    `amount` is how many rows there are, about or at least, and `said` the same in words. `trouble` is why the file
    cannot be read to its end, where all of it was looked at.
    """

    shape: files.Shape
    rows: list[Cells]
    types: tuple[str, ...]
    amount: int
    said: str
    trouble: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.shape.columns

    @property
    def heads(self) -> list[tuple[str, str]]:
        """Each column with its type."""
        return list(zip(self.columns, self.types, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The preview as plain JSON values."""
        return {
            "shape": self.shape.to_dict(), "rows": self.rows, "types": self.types, "amount": self.amount,
            "said": self.said, "trouble": self.trouble,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Preview:
        """The inverse of to_dict()."""
        rows = [(list(cells), str(reason)) for cells, reason in told["rows"]]
        shape, types = files.Shape.from_dict(told["shape"]), tuple(told["types"])
        return cls(shape, rows, types, told["amount"], told["said"], told["trouble"])


def of_head(head: bytes, shape: files.Shape, size: int, limits: files.Limits = files.LIMITS) -> Preview:
    """Of the first part of a file that has `size` bytes."""
    rows, trouble = some(BytesIO(head), shape, COUNTED if shape.compression else len(head), limits)
    if len(rows) == COUNTED and shape.compression:
        return made(shape, rows, COUNTED, f"{COUNTED:,} rows or more")
    if size <= len(head):
        return made(shape, rows, len(rows), counted(len(rows)), trouble)
    # The last row may be cut. Where that makes it unreadable it is not among them.
    whole = rows if trouble else rows[:-1]
    amount = estimated(len(whole), len(head), size)
    return made(shape, whole, amount, f"about {counted(amount)}" if whole else "")


def of_file(stream: IO[bytes], shape: files.Shape, size: int, limits: files.Limits = files.LIMITS) -> Preview:
    """Of a stored file. A workbook has no first part that could be read alone."""
    if shape.format != "xlsx":
        return of_head(stream.read(HEAD), shape, size, limits)
    rows, trouble = some(stream, shape, LOOKED_AT, limits)
    said = f"{LOOKED_AT:,} rows or more" if len(rows) == LOOKED_AT else counted(len(rows))
    return made(shape, rows, len(rows), said, trouble)


def some(stream: files.Readable, shape: files.Shape, most: int, limits: files.Limits) -> tuple[list[files.Row], str]:
    """The first rows, and why no more can be read where that is so."""
    rows: list[files.Row] = []
    try:
        rows.extend(islice(files.read(stream, shape, limits), most))
    except files.Unreadable as error:
        return rows, str(error)
    return rows, ""


def estimated(rows: int, taken: int, size: int) -> int:
    """So many rows as `size` bytes have when `taken` bytes have so many; two digits of it."""
    amount = round(rows * size / taken)
    step = 10 ** max(0, len(str(amount)) - 2)
    return int(round(amount / step) * step)


def made(shape: files.Shape, rows: list[files.Row], amount: int, said: str, trouble: str = "") -> Preview:
    tables = [[] if row.reason else files.cells(row.payload, shape, shape.columns) for row in rows[:SAMPLE]]
    shown = [(brief(cells), str(row.reason)) for cells, row in zip(tables, rows[:SHOWN], strict=False)]
    types = files.column_types([cells for cells in tables if cells])
    padded = (*types, *[""] * (len(shape.columns) - len(types)))
    return Preview(shape, shown, padded, amount, said, trouble)


def brief(cells: list[str]) -> list[str]:
    """As much of the cells as a page shows."""
    return [cell[:LONG] for cell in cells[:WIDE]]
