"""What a file looks like and what one row of it is: the values that all readers and writers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

FORMATS = ("csv", "tsv", "jsonl", "text")
TABULAR = ("csv", "tsv", "text")


class Unreadable(Exception):
    """The file cannot be a job. The message is one sentence for the person who chose the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is accepted. Going over one of them is a bad row, or Unreadable where no row can be named."""

    columns: int = 2_000
    cell_chars: int = 1_000_000
    row_bytes: int = 10_000_000
    rows: int = 5_000_000
    json_depth: int = 200


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is to be read: enough to read it again to the same rows.

    `encoding` is the name of a Python codec; `delimiter` is empty for formats that have none.
    """

    format: str
    encoding: str
    delimiter: str = ""
    header: bool = False
    columns: tuple[str, ...] = ()

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
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Shape:
        """The inverse of to_dict()."""
        return cls(
            format=stored["format"],
            encoding=stored["encoding"],
            delimiter=stored.get("delimiter", ""),
            header=stored.get("header", False),
            columns=tuple(stored.get("columns", ())),
        )


class Given(TypedDict, total=False):
    """What is known about a file beforehand. The rest is guessed, as is what is given but empty."""

    format: str
    encoding: str
    delimiter: str
    header: bool | None


class Row(NamedTuple):
    """One row as JSON text; a `reason` that is not empty says why the row cannot be processed.

    Tabular files: an array of cell strings in the order of the columns. JSON Lines: the value's own text as it stands.
    A bad row's payload holds what could be read of it, shortened where that is long. `value` is what the payload of a
    good row says, for those who would else decode it at once. A tuple, for it is made in half the time.
    """

    payload: str
    reason: str = ""
    value: Any = None
