"""Excel workbooks (XLSX): what is in the archive is measured before any of it is unpacked, then openpyxl opens it.

Why openpyxl, and only for opening: calamine holds the whole sheet in memory (200,000 rows of 6 cells: 117 MB, here
31 MB) and aborts the process over one cell in the last corner of a sheet. openpyxl's own rows take 20 s of CPU time
where those of sheet.py take 8 s, and it fills the gaps of a sparse sheet with as many empty cells.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from functools import cached_property
from typing import IO, Any, NamedTuple

from openpyxl.reader.excel import ExcelReader

from jobs.files.shape import Limits, Unreadable
from jobs.files.sheet import Sheet, shared_strings
from jobs.files.styles import Styles, styles_of
from jobs.files.unpacking import check_size
from jobs.files.xmlparts import parser_of

MAGIC = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
DIRECTORY = 4_000_000  # bytes of the list of what is in an archive: some 50,000 parts
PROLOG = 64  # kilobytes in which a part's first element begins
SHARED_STRINGS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
OTHERS = (
    ("xl/workbook.bin", "a binary Excel workbook; save it as .xlsx"),
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a presentation"),
    ("content.xml", "an OpenDocument file; save it as .xlsx or CSV"),
)


class Part(NamedTuple):
    """A sheet: its name, and where in the archive its cells are."""

    name: str
    path: str
    hidden: bool


class Workbook:
    """An open workbook. Raises Unreadable where it is damaged, or larger than the limits."""

    def __init__(self, stream: IO[bytes], limits: Limits) -> None:
        self._limits = limits
        with _undamaged():
            _check_directory(stream)
            self._archive = zipfile.ZipFile(stream)
            self._check()
            self._reader: Any = _Reader(self._archive)
            self._reader.open()
            self.sheets = self._list()
        if not self.sheets:
            raise Unreadable("The workbook has no sheet with cells.")
        if len(self.sheets) > limits.sheets:
            raise Unreadable(f"The workbook has {len(self.sheets):,} sheets; the limit is {limits.sheets:,}.")

    def _list(self) -> list[Part]:
        present = set(self._archive.namelist())
        return [
            Part(sheet.name, rel.target, sheet.state != "visible")
            for sheet, rel in self._reader.parser.find_sheets()
            if rel.target in present and rel.Type.endswith("/worksheet")
        ]

    def _check(self) -> None:
        parts = self._archive.infolist()
        names = {part.filename for part in parts}
        if WORKBOOK not in names:
            what = next((what for name, what in OTHERS if name in names), "a zip archive; unpack it first")
            raise Unreadable(f"The file is {what}.")
        check_size(sum(part.file_size for part in parts), sum(part.compress_size for part in parts), self._limits)
        for part in parts:
            check_size(part.file_size, part.compress_size, self._limits)
        shared = sum(part.file_size for part in parts if _is_held(part.filename))
        if shared > self._limits.shared_bytes:
            raise Unreadable(
                f"The workbook's texts and styles have {shared:,} bytes; the limit is {self._limits.shared_bytes:,}. "
                "Save the sheet as CSV."
            )
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                _check_prolog(self._archive, part)

    def sheet(self, name: str) -> Sheet:
        """The sheet of this name. Raises Unreadable."""
        part = next((part for part in self.sheets if part.name == name), None)
        if part is None:
            raise Unreadable(f"The workbook has no sheet {name[:40]!r}; it has {_listed(self.sheets)}.")
        with _undamaged():
            return Sheet(self._archive, part.path, self._styles, self._texts, self._limits)

    @cached_property
    def _styles(self) -> Styles:
        return styles_of(self._archive, self._reader.wb.epoch)

    @cached_property
    def _texts(self) -> list[str]:
        part = self._reader.package.find(SHARED_STRINGS)
        path = part.PartName.lstrip("/") if part is not None else ""
        return shared_strings(self._archive, path) if path in self._archive.namelist() else []


class _Reader(ExcelReader):
    """Opens what is needed to find the sheets and to tell dates from numbers."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.valid_files = archive.namelist()
        self.read_only = self.data_only = True
        self.keep_vba = self.keep_links = self.rich_text = False

    def open(self) -> None:
        self.read_manifest()
        self.read_workbook()


def _is_held(name: str) -> bool:
    """Whether a part is read as a whole, and not row after row or never."""
    return name.endswith((".xml", ".rels")) and not name.lower().startswith("xl/worksheets/")


def _listed(sheets: list[Part]) -> str:
    names = ", ".join(repr(sheet.name) for sheet in sheets[:8])
    return names + (", …" if len(sheets) > 8 else "")


def _check_directory(stream: IO[bytes]) -> None:
    """Looks how long the list of parts is, for zipfile reads it as a whole whatever its length."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - (1 << 16) - 128))
    tail = stream.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + 22:
        raise Unreadable("The workbook is damaged: its end is missing; it was not copied or sent as a whole.")
    (directory,) = struct.unpack_from("<L", tail, end + 12)
    wide = tail.rfind(b"PK\6\6", 0, end)
    if wide >= 0 and len(tail) >= wide + 48:
        directory = max(struct.unpack_from("<Q", tail, wide + 40)[0], directory if directory != 0xFFFFFFFF else 0)
    if directory > DIRECTORY:
        raise Unreadable("The workbook has too many parts.")


class _Prolog:
    """Sees where a part's first element begins. What declares entities stands before."""

    passed = False

    def start(self, *_: object) -> None:
        self.passed = True

    def end(self, _: str) -> None: ...

    def data(self, _: str) -> None: ...


def _check_prolog(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Raises Unreadable where a part declares entities, for openpyxl's own parser would follow them."""
    seen = _Prolog()
    parser = parser_of(seen)
    with archive.open(part) as stream:
        for _ in range(PROLOG):
            piece = stream.read(1_024)
            parser.Parse(piece, False)
            if seen.passed or not piece:
                return
    raise Unreadable("The workbook is damaged: a part of it does not begin.")


@contextmanager
def _undamaged() -> Iterator[None]:
    """What zipfile, expat and openpyxl raise over a damaged workbook is nearly every class of exception."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, EINVAL):
            raise
        raise Unreadable("The workbook is damaged; open it in a spreadsheet program and save it again.") from error
