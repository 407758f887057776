"""Files made on the spot, and short ways to read them."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import openpyxl

from jobs.files import LIMITS, Limits, Reader, Row, open_rows

NEWLINES = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
TABLES = list(itertools.product(",;\t|", NEWLINES, ENCODINGS))
# What is often mistaken for the end of a line or of a file.
ODDITIES = (
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\x1a",
    "\ufeff",
    "\u202e",
    "𝄞",
    "e\u0301",
)


class Endless(io.RawIOBase):
    """A stream of `size` bytes that are never in memory at once: a start, then the same piece again and again."""

    def __init__(self, start: bytes, piece: bytes, size: int) -> None:
        self._left = size
        self._start = start
        self._piece = piece * max(1, 65_536 // len(piece))

    def read(self, size: int = -1) -> bytes:
        data, self._start = (self._start, b"") if self._start else (self._piece, b"")
        data = data[: min(size if size > 0 else len(data), self._left)]
        self._left -= len(data)
        return data


def opened(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> Reader:
    """A reader over these bytes."""
    raw = data.encode() if isinstance(data, str) else data
    return open_rows(io.BytesIO(raw), name, limits, **overrides)


def rows(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> list[Row]:
    """All rows of these bytes."""
    return list(opened(data, name, limits, **overrides))


def values(data: bytes | str, name: str = "", **overrides: Any) -> list[Any]:
    """The payloads of all rows, parsed; no row may be bad."""
    found = rows(data, name, **overrides)
    assert [row.reason for row in found if row.reason] == []
    return [json.loads(row.payload) for row in found]


def reasons(data: bytes | str, name: str = "", limits: Limits = LIMITS, **overrides: Any) -> dict[int, str]:
    """Row number to reason, of the bad rows."""
    return {number: row.reason for number, row in enumerate(rows(data, name, limits, **overrides), 1) if row.reason}


def csv_text(records: Sequence[Sequence[str]], delimiter: str = ",", newline: str = "\n") -> str:
    """The records as the standard library writes them."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(records)
    return text.getvalue()


def workbook(*sheets: tuple[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook as openpyxl writes it, of sheets with a name and rows."""
    book = openpyxl.Workbook(write_only=True)
    for name, records in sheets:
        sheet = book.create_sheet(name)
        for record in records:
            sheet.append(record)
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """The bytes of a workbook."""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def zipped(parts: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def bomb(start: bytes, piece: bytes, megabytes: int) -> bytes:
    """A gzip of so much, which is never in memory as a whole."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(start)]
    parts += [packer.compress(piece * (1_000_000 // len(piece))) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def parts(sheet: str = "", shared: Sequence[str] = (), **more: str) -> dict[str, str | bytes]:
    """The parts of a workbook with one sheet, of which `sheet` is the XML between sheetData's tags."""
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return {
        "[Content_Types].xml": f"""<Types xmlns="{package}/content-types">
            <Default Extension="xml" ContentType="application/xml"/>
            <Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>
            <Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/>
            <Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>""",
        "_rels/.rels": f"""<Relationships xmlns="{package}/relationships">
            <Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>""",
        "xl/workbook.xml": f"""<workbook {MAIN} xmlns:r="{office}">
            <sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>""",
        "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{package}/relationships">
            <Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>""",
        "xl/styles.xml": f"<styleSheet {MAIN}/>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>{texts}</sst>",
        "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{sheet}</sheetData></worksheet>",
        **more,
    }


class Case(NamedTuple):
    """A file of the corpus, and the payloads that its rows are to have; None for a bad one."""

    label: str
    data: bytes
    name: str
    values: list[Any]

    def __repr__(self) -> str:
        return self.label


TABLE = [
    ["id", "query"],
    ["1", "plain"],
    ["2", 'a "quoted" one'],
    ["3", "two\nlines"],
    ["4", "; , | \t"],
    ["5", "größer"],
]
OBJECTS = [dict(zip(TABLE[0], row, strict=True)) for row in TABLE[1:]]
LINES = ["first one", " zweite größe ", "; , | \t", "{no json}"]
SINGLE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1")


def table_text(delimiter: str) -> Callable[[str, str], tuple[str, list[Any]]]:
    def make(newline: str, odd: str) -> tuple[str, list[Any]]:
        table = [*TABLE, ["6", f"a{odd}b"]]
        return csv_text(table, delimiter, newline) + newline, [*TABLE[1:], ["6", f"a{odd}b"]]

    return make


def jsonl_text(newline: str, odd: str) -> tuple[str, list[Any]]:
    values = [*OBJECTS, {"id": odd}]
    return newline.join([*map(plain_json, values[:2]), "", *map(plain_json, values[2:])]), values


def json_text(newline: str, odd: str) -> tuple[str, list[Any]]:
    values = [*OBJECTS, {"id": odd, "more": [1, {"x": None}]}, [1.5], None, odd]
    return "[" + newline + f",{newline}".join(map(plain_json, values)) + newline + "]" + newline, values


def indented_text(newline: str, odd: str) -> tuple[str, list[Any]]:
    values = [*OBJECTS, {"id": odd, "more": [1, {"x": None}]}]
    document = {"object": "list", "data": values, "more": {"next": None}}
    return json.dumps(document, indent=2, ensure_ascii=False).replace("\n", newline), values


def plain_text(newline: str, odd: str) -> tuple[str, list[Any]]:
    lines = [*LINES, f"a{odd}b"]
    return newline.join(["", *lines[:2], "  ", *lines[2:], ""]), [[line] for line in lines]


def plain_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


MAKERS: dict[str, Callable[[str, str], tuple[str, list[Any]]]] = {
    **{f"{at}.csv": table_text(delimiter) for at, delimiter in enumerate(",;|")},
    "a.tsv": table_text("\t"),
    "a.jsonl": jsonl_text,
    "array.json": json_text,
    "object.json": indented_text,
    "a.txt": plain_text,
}


def cases() -> Iterator[Case]:
    """Each format with each encoding and newline; each oddity with each format; all of it in gzip too."""
    for name, encoding, newline in itertools.product(MAKERS, SINGLE, NEWLINES):
        yield from _packed(name, encoding, newline, "-")
    for name, odd in itertools.product(MAKERS, ODDITIES):
        yield from _packed(name, "utf-8", "\n", odd)
    yield from _workbooks()


def _packed(name: str, encoding: str, newline: str, odd: str) -> Iterator[Case]:
    if odd < " " and "json" in name:
        return  # no JSON string may hold it
    text, values = MAKERS[name](newline, odd)
    data = text.encode(encoding)
    label = f"{name} {encoding} {newline!r} {odd!a}"
    yield Case(label, data, name, values)
    yield Case(f"{label} gzip", gzip.compress(data, mtime=0), f"{name}.gz", values)


def _workbooks() -> Iterator[Case]:
    for odd in ODDITIES:
        if odd >= " " or odd in "\t\n":
            table = [*TABLE, ["6", f"a{odd}b"]]
            yield Case(f"a.xlsx {odd!a}", workbook(("S", table)), "a.xlsx", table[1:])
    data = workbook(("S", [TABLE[0], [], *TABLE[1:], []]))
    yield Case("blank.xlsx", data, "a.xlsx", TABLE[1:])
    yield Case("a.xlsx gzip", gzip.compress(data, mtime=0), "a.xlsx.gz", TABLE[1:])
    shared = '<row r="1"><c r="A1" t="s"><v>0</v></c></row><row r="2"><c r="A2" t="s"><v>1</v></c></row>'
    yield Case("shared.xlsx", zipped(parts(shared, ["query", "größer"])), "a.xlsx", [["größer"]])
