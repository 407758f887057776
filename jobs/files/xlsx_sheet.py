"""The rows of one sheet of a workbook, as text, streamed by expat."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from xml.parsers import expat

from jobs.files.decompression import check_size
from jobs.files.memory import Growth
from jobs.files.shape import Limits, Unreadable
from jobs.files.styles import Styles, number_text
from jobs.files.texts import SOUND, TEXT, Texts, unescaped
from jobs.files.xmlparts import MAIN, PIECE, parser_of

ROWS = 1_048_576  # of a sheet, says the format
DAMAGED = (
    zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip

_ROW, _CELL, _VALUE = (MAIN + name for name in ("row", "c", "v"))
_OPENS = {_VALUE: True, TEXT: True, SOUND: False}  # whether the text in an element is the cell's
_COLUMN = re.compile("[A-Za-z]{1,3}")
_DIGITS = "0123456789"


class Record(NamedTuple):
    """A row's cells from the first column on. `width` is larger where cells lie beyond the limit on columns.

    Of a row that is `too_long` only the beginning is there.
    """

    cells: list[str]
    width: int
    too_long: bool = False


@dataclass(slots=True)
class _Cells:
    """What expat says of the sheet, gathered until a row is whole."""

    styles: Styles
    texts: Texts
    limits: Limits
    done: list[Record | None] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    width: int = 0
    row: int = 0
    filled: int = 0
    column: int = 0
    kind: str = "n"
    style: int = 0
    open: bool = False
    text: list[str] = field(default_factory=list)
    size: int = 0
    quiet: int = 0
    shared: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.quiet = 0
        self.open = _OPENS.get(name, self.open)
        if name == _CELL:
            self._begin_cell(attributes)
        elif name == _ROW:
            self._begin_row(attributes.get("r", ""))

    def end(self, name: str) -> None:
        self.quiet = 0
        if name in (_VALUE, TEXT):
            self.open = False
        elif name == _CELL:
            if self.text:
                self._end_cell("".join(self.text))
        elif name == _ROW:
            self._end_row()

    def data(self, text: str) -> None:
        if self.open and not self._is_too_long(len(text)):
            self.text.append(text)

    def _is_too_long(self, more: int) -> bool:
        self.size += more
        return self.size > self.limits.row_bytes

    def _begin_row(self, number: str) -> None:
        at = int(number) if number.isdecimal() and len(number) < 8 else self.row + 1
        self.row = at if self.row < at <= ROWS else self.row + 1
        self.column = self.width = self.size = 0
        self.cells = []

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        letters = attributes.get("r", "").rstrip(_DIGITS)
        self.column = (_number(letters) if len(letters) < 4 else 0) or self.column + 1
        self.kind = attributes.get("t", "n")
        style = attributes.get("s", "0")
        self.style = int(style) if style.isdecimal() else 0
        self.text = []

    def _end_cell(self, text: str) -> None:
        shown = self._shown(text)
        self.text = []
        # A text that many cells share is long in each of them.
        if self.kind == "s":
            self.shared += len(shown)
            if self._is_too_long(len(shown)):
                return
        if not shown:
            return
        column = self.column
        if column > self.width:
            self.width = column
        if column == len(self.cells) + 1 <= self.limits.columns:
            self.cells.append(shown)
        elif column <= self.limits.columns:
            self.cells += [""] * (column - len(self.cells))
            self.cells[column - 1] = shown

    def _end_row(self) -> None:
        if not self.width and self.size <= self.limits.row_bytes:
            return
        self.done += [None] * (self.row - self.filled - 1)
        self.done.append(Record(self.cells, self.width, self.size > self.limits.row_bytes))
        self.filled = self.row

    def _shown(self, text: str) -> str:
        if self.kind == "n":
            return number_text(text, self.style, self.styles)
        if self.kind == "s":
            at = int(text)
            if not 0 <= at < len(self.texts):
                raise ValueError("no such text")
            return self.texts[at]
        if self.kind == "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        return unescaped(text)


class Sheet:
    """The rows of a sheet, None for each blank one between two that are filled. `read` counts bytes of its XML.

    `packed` are the bytes of the whole workbook, of which only so much may come.
    """

    def __init__(
        self, archive: zipfile.ZipFile, path: str, styles: Styles, texts: Texts, limits: Limits, packed: int
    ) -> None:
        self._archive = archive
        self._packed = packed
        self._path = path
        self._limits = limits
        self._cells = _Cells(styles, texts, limits)
        self.read = 0

    def rows(self, most: float = math.inf) -> Iterator[Record | None]:
        """Those in the first `most` bytes of the sheet, all unless told. Raises Unreadable where it is damaged."""
        cells = self._cells
        parser, growth = parser_of(cells), Growth()
        for piece in self._pieces():
            self.read += len(piece)
            if self.read > most:
                return
            cells.quiet += len(piece)
            self._parse(parser, piece)
            growth.check()
            if cells.quiet > self._limits.row_bytes:
                raise Unreadable(f"The sheet is damaged near row {cells.row:,}.")
            # What cells share is small in the file and comes out once for each of them.
            check_size(self.read + cells.shared, self._packed, self._limits)
            yield from cells.done
            cells.done.clear()

    def _parse(self, parser: expat.XMLParserType, piece: bytes) -> None:
        try:
            parser.Parse(piece, not piece)
        except DAMAGED:
            raise Unreadable(f"The sheet is damaged near row {self._cells.row:,}.") from None

    def _pieces(self) -> Iterator[bytes]:
        try:
            with self._archive.open(self._path) as stream:
                while piece := stream.read(PIECE):
                    yield piece
        except DAMAGED:
            raise Unreadable(f"The sheet is damaged near row {self._cells.row:,}.") from None
        yield b""


@lru_cache(1 << 15)
def _number(letters: str) -> int:
    """A column's number, from 1; 0 where the letters are none."""
    if not _COLUMN.fullmatch(letters):
        return 0
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number
