"""Rows out as an Excel workbook, a piece at a time: neither the rows nor the file are ever held as a whole.

The libraries for this put the whole sheet into a temporary file first, so that nothing is sent for a minute where there
are a million rows, and proxies give up. Texts are written into their cells (ECMA-376, 18.3.1.53), so that no table of
them has to be kept; a text never becomes a formula or a link.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from jobs.files.payload import cell_text
from jobs.files.pipe import Pipe

ROWS: Final = 1_048_576  # of a sheet, its header among them
COLUMNS: Final = 16_384
CELL: Final = 32_767  # UTF-16 units of a text
EXACT: Final = 10**15  # whole numbers from here on would lose digits
SHEET: Final = 1_500_000_000  # bytes of a sheet, before packing: readers of plain ZIP take no more than 2 GiB

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
# The first row stays in sight.
SHEET_BEGINS: Final = (
    f'{XML}<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
    'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
SHEET_ENDS: Final = "</sheetData></worksheet>"

# What XML cannot hold or changes, and what Excel would take for its own way to write such characters.
_SPECIAL = re.compile("[&<>\0-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_WRITTEN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "_": "_x005F_", "\0": "\u2400"}


def letters(column: int) -> str:
    """The name of a column, counted from 0: A, B, … Z, AA."""
    name = ""
    while column >= 0:
        name = chr(65 + column % 26) + name
        column = column // 26 - 1
    return name


def written(text: str) -> str:
    """A text inside of XML."""
    return _SPECIAL.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    return _WRITTEN.get(found[0]) or f"_x{ord(found[0]):04X}_"


def cut(text: str) -> str:
    """What fits into a cell of a text that does not, with a mark."""
    mark = f"… [cut from {len(text):,} characters]"
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * (CELL - len(mark))]
    return units.decode("utf-16-le", "ignore") + mark


class Workbook:
    """A workbook that is written row by row; `take` gives what there is of it since the last time."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._letters = [letters(at) for at in range(len(header))]
        self._stream = Pipe()
        self._archive = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._sheets: list[str] = []
        self._cut = 0
        self._begin("Results")

    def take(self) -> bytes:
        return self._stream.take()

    def add(self, records: Iterable[Sequence[Any]]) -> None:
        """Rows of texts, numbers and other JSON values; None is an empty cell."""
        lines: list[str] = []
        for record in records:
            if self._row >= ROWS or self._size > SHEET:
                self._write("".join(lines))
                lines.clear()
                self._finish()
                self._begin(f"Results {len(self._sheets) + 1}")
            lines.append(self._line(record))
        self._write("".join(lines))

    def end(self) -> None:
        """Writes what a workbook ends with, after a sheet that says what is not as it was."""
        self._finish()
        notes = list(self._notes())
        if notes:
            self._begin("Notes", "Note")
            self._write("".join(self._line([note]) for note in notes))
            self._finish()
        for path, text in parts(self._sheets).items():
            self._archive.writestr(path, text)
        self.close()

    def close(self) -> None:
        """Lets go of a workbook, finished or not."""
        self._entry.close()
        self._archive.close()

    def _notes(self) -> Iterator[str]:
        if len(self._sheets) > 1:
            yield f"A sheet holds {ROWS:,} rows at most, so the rows go on in the next one."
        if self._cut:
            cells = "1 text is" if self._cut == 1 else f"{self._cut:,} texts are"
            yield (
                f"{cells} longer than the {CELL:,} characters that a cell holds, and cut with a mark at the end. "
                "The other formats have them whole."
            )

    def _begin(self, name: str, *header: str) -> None:
        self._sheets.append(name)
        self._entry = self._archive.open(f"xl/worksheets/sheet{len(self._sheets)}.xml", "w")
        self._row = self._size = 0
        self._write(SHEET_BEGINS + self._line(header or self._header))

    def _finish(self) -> None:
        self._write(SHEET_ENDS)
        self._entry.close()

    def _write(self, text: str) -> None:
        data = text.encode()
        self._size += len(data)
        self._entry.write(data)

    def _line(self, record: Sequence[Any]) -> str:
        self._row += 1
        row = str(self._row)
        cells = [
            self._cell(letter + row, value)
            for letter, value in zip(self._letters, record, strict=False)
            if value is not None and value != ""
        ]
        return f'<row r="{row}">{"".join(cells)}</row>'

    def _cell(self, place: str, value: Any) -> str:
        kind = type(value)
        if kind is float or (kind is int and -EXACT < value < EXACT):
            return f'<c r="{place}"><v>{value!r}</v></c>'
        if kind is bool:
            return f'<c r="{place}" t="b"><v>{value:d}</v></c>'
        text = value if kind is str else cell_text(value)
        if len(text) > CELL // 2 and len(text.encode("utf-16-le", "surrogatepass")) > 2 * CELL:
            self._cut += 1
            text = cut(text)
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{written(text)}</t></is></c>'


def workbook(header: Sequence[str], chunks: Iterable[Iterable[Sequence[Any]]]) -> Iterator[bytes]:
    """The bytes of a workbook of these rows, some for each chunk of them."""
    with closing(Workbook(header)) as book:
        for records in chunks:
            book.add(records)
            yield book.take()
        book.end()
        yield book.take()


def parts(sheets: Sequence[str]) -> dict[str, str]:
    """What a workbook consists of besides its sheets."""
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{TYPES}.worksheet+xml"/>' for n in numbers
    )
    listed = "".join(f'<sheet name="{sheets[n - 1]}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    return {
        "xl/workbook.xml": f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><bookViews><workbookView/></bookViews>'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
        "_rels/.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        f"{overrides}</Types>",
    }
