"""What a file looks like and what one row of it is: the values that all readers and writers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

FORMATS = ("csv", "tsv", "jsonl", "json", "xlsx", "text")
TABULAR = ("csv", "tsv", "xlsx", "text")
SAMPLE = 200  # rows that guesses are made from
ROOM = 4_000_000  # characters of these rows, where they are large


class Unreadable(Exception):
    """The file cannot be a job. The message is one sentence for the person who chose the file."""


class Partial(Unreadable):
    """Nothing is wrong yet: a file of this format is only understood when all of it is there."""


class Reason(str):
    """Why a row is bad, and which kind of problem that is."""

    kind: str

    def __new__(cls, kind: str, text: str) -> Reason:
        """The sentence `text`, which goes on after "row 7"."""
        reason = super().__new__(cls, text)
        reason.kind = kind
        return reason

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.kind, str(self)


FEW = "too few cells"
MANY = "too many cells"
BROKEN = "broken JSON"
BYTES = "undecodable bytes"
LONG = "too long"
DEEP = "nested too deep"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is accepted. Going over one of them is a bad row, or Unreadable where no row can be named.

    `unpacked_bytes` counts what gzip or a workbook holds, `ratio` is how many times larger than the file that may be
    (looked at from `RATIO_FROM` bytes on), `shared_bytes` the texts that a workbook's cells share: they stay in memory.
    """

    columns: int = 2_000
    cell_chars: int = 1_000_000
    row_bytes: int = 10_000_000
    rows: int = 5_000_000
    json_depth: int = 200
    unpacked_bytes: int = 4_000_000_000
    ratio: int = 200
    sheets: int = 200
    shared_bytes: int = 100_000_000


RATIO_FROM = 20_000_000


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is to be read: enough to read it again to the same rows.

    `encoding` is the name of a Python codec; `delimiter` is empty for formats that have none. `compression` is empty or
    `gzip`, `sheet` the name of a workbook's sheet, `path` the key under which an object holds the array of rows.
    """

    format: str
    encoding: str
    delimiter: str = ""
    header: bool = False
    columns: tuple[str, ...] = ()
    compression: str = ""
    sheet: str = ""
    path: str = ""

    @property
    def tabular(self) -> bool:
        """Whether a payload is an array of cells (and not a JSON value of its own)."""
        return self.format in TABULAR

    def to_dict(self) -> dict[str, Any]:
        """The shape as plain JSON values."""
        return {
            "format": self.format,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "header": self.header,
            "columns": list(self.columns),
            "compression": self.compression,
            "sheet": self.sheet,
            "path": self.path,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Shape:
        """The inverse of to_dict(), also for what was stored before there were so many keys, or when there are more."""
        return cls(
            format=stored["format"],
            encoding=stored["encoding"],
            delimiter=stored.get("delimiter", ""),
            header=stored.get("header", False),
            columns=tuple(stored.get("columns", ())),
            compression=stored.get("compression", ""),
            sheet=stored.get("sheet", ""),
            path=stored.get("path", ""),
        )


class Given(TypedDict, total=False):
    """What is known about a file beforehand. The rest is guessed, as is what is given but empty."""

    format: str
    encoding: str
    delimiter: str
    header: bool | None
    sheet: str


class Row(NamedTuple):
    """One row as JSON text; a `reason` that is not empty (a Reason) says why the row cannot be processed.

    Tabular files: an array of cell strings in the order of the columns. JSON: the value's own text as it stands.
    A bad row's payload holds what could be read of it, shortened where that is long. `value` is what the payload of a
    good row says, for those who would else decode it at once. A tuple, for it is made in half the time.
    """

    payload: str
    reason: str = ""
    value: Any = None
