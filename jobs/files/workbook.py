"""Excel workbooks (XLSX): what is in the archive is measured before any of it is unpacked, then streamed.

Why no library does it: calamine holds the whole sheet in memory (200,000 rows of 6 cells: 117 MB, here 31 MB) and
aborts the process over one cell in the last corner of a sheet. openpyxl takes 20 s of CPU time for rows where sheet.py
takes 8 s, fills the gaps of a sparse sheet with as many empty cells, and makes a tree of each other part as a whole.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from functools import cached_property
from typing import IO, Final

from jobs.files import package
from jobs.files.decompression import check_size
from jobs.files.package import Part
from jobs.files.shape import Limits, Unreadable
from jobs.files.styles import STYLES, Styles, styles_of
from jobs.files.texts import Texts, shared_texts
from jobs.files.xlsx_sheet import Sheet

MAGIC = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
DIRECTORY = 4_000_000  # bytes of the list of what is in an archive: some 50,000 parts
OWN: Final = 16_000_000  # bytes of a part that says where others are, or how numbers look
OTHERS = (
    ("xl/workbook.bin", "a binary Excel workbook; save it as .xlsx"),
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a presentation"),
    ("content.xml", "an OpenDocument file; save it as .xlsx or CSV"),
)


class Workbook:
    """An open workbook. Raises Unreadable where it is damaged, or larger than the limits."""

    def __init__(self, stream: IO[bytes], limits: Limits) -> None:
        self._limits = limits
        with _undamaged():
            _check_directory(stream)
            self._archive = zipfile.ZipFile(stream)
            self._check()
            self._manifest = package.manifest(self._archive)
            self._check_own(self._manifest.workbook, package.relations_of(self._manifest.workbook), STYLES)
            book = package.Book(limits.sheets)
            self.sheets = package.sheets(self._archive, self._manifest.workbook, book)
        self._epoch = book.epoch
        if book.count > limits.sheets:
            raise Unreadable(f"The workbook has {book.count:,} sheets; the limit is {limits.sheets:,}.")
        if not self.sheets:
            raise Unreadable("The workbook has no sheet with cells.")

    def _check(self) -> None:
        parts = self._archive.infolist()
        names = {part.filename for part in parts}
        if WORKBOOK not in names:
            what = next((what for name, what in OTHERS if name in names), "a zip archive; unpack it first")
            raise Unreadable(f"The file is {what}.")
        check_size(sum(part.file_size for part in parts), sum(part.compress_size for part in parts), self._limits)
        for part in parts:
            check_size(part.file_size, part.compress_size, self._limits)
        self._packed = sum(part.compress_size for part in parts)
        self._check_own(package.TYPES)

    def _check_own(self, *paths: str) -> None:
        """Raises Unreadable where what must be read before any row is too much."""
        for path in paths:
            if self._size(path) > OWN:
                raise Unreadable(
                    f"The part {path[:40]} of the workbook has more than {OWN:,} bytes, which is the limit."
                )

    def _size(self, path: str) -> int:
        return self._archive.getinfo(path).file_size if path in self._archive.namelist() else 0

    def sheet(self, name: str) -> Sheet:
        """The sheet of this name. Raises Unreadable."""
        part = next((part for part in self.sheets if part.name == name), None)
        if part is None:
            raise Unreadable(f"The workbook has no sheet {name[:40]!r}; it has {_listed(self.sheets)}.")
        with _undamaged():
            return Sheet(self._archive, part.path, self._styles, self._texts, self._limits, self._packed)

    @cached_property
    def _styles(self) -> Styles:
        return styles_of(self._archive, self._epoch)

    @cached_property
    def _texts(self) -> Texts:
        path = self._manifest.texts
        size, most = self._size(path), self._limits.shared_bytes
        if size > most:
            raise Unreadable(f"The workbook's texts have {size:,} bytes; the limit is {most:,}. Save the sheet as CSV.")
        return shared_texts(self._archive, path, self._limits.cell_chars) if size else Texts()


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


@contextmanager
def _undamaged() -> Iterator[None]:
    """What zipfile and expat raise over a damaged workbook is nearly every class of exception."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, EINVAL):
            raise
        raise Unreadable("The workbook is damaged; open it in a spreadsheet program and save it again.") from error
