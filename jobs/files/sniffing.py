"""What a file is, seen from its first part: the content decides, the name is a hint."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from pathlib import PurePosixPath
from typing import Unpack

from jobs.files import decompression, json_array, jsonlines, plaintext, workbook, xlsx_reader
from jobs.files import encoding as encodings
from jobs.files.header import column_names, is_header, numbered
from jobs.files.lines import take_head
from jobs.files.payload import first_surrogate
from jobs.files.shape import FORMATS, LIMITS, SAMPLE, Given, Limits, Partial, Shape, Unreadable

DELIMITERS = ",;\t|"
NAMED = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
NO_ARRAY = "The file is one JSON document and holds no array of rows."
PROSE = ("txt", "text", "md", "log")

_OBJECT = re.compile(r"""\{\s*["}]""")
_DOCUMENT = re.compile(r"""\s*(\[\s*([\["\]\d-]|\{\s*["}]|true|false|null)|\{\s*")""")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")


@dataclass(frozen=True, slots=True)
class Table:
    """The head read with one delimiter; `fit` is the share of records as wide as expected, the first counting most.

    `cut` says that the parser did not get to the end.
    """

    delimiter: str
    records: Sequence[Sequence[str]] = field(repr=False)
    cut: bool = False

    @property
    def width(self) -> int:
        """The first record's width where it has more than one cell, else the commonest."""
        widths = Counter(map(len, self.records))
        first = len(self.records[0])
        return first if first > 1 else widths.most_common(1)[0][0]

    @property
    def share(self) -> float:
        return sum(len(record) == self.width for record in self.records) / len(self.records)

    @property
    def fit(self) -> float:
        return self.share + (0.5 if len(self.records[0]) == self.width else 0)


def sniff(
    head: bytes,
    name: str = "",
    *,
    complete: bool = False,
    limits: Limits = LIMITS,
    **given: Unpack[Given],
) -> Shape:
    """The shape of the file that begins with `head` (all of it when `complete`); what is given is not guessed.

    Raises Unreadable, with a sentence, for what cannot be a job: empty, a header alone, binary, an unknown encoding;
    Partial for a workbook that is not complete.
    """
    _check_given(given.get("format", ""), given.get("delimiter", ""))
    if head.startswith(decompression.MAGIC):
        content, whole = _unpacked(head, complete, limits)
        shape = _sniff(content, name.lower().removesuffix(".gz"), whole, limits, given)
        return replace(shape, compression="gzip")
    return _sniff(head, name, complete, limits, given)


def _sniff(head: bytes, name: str, complete: bool, limits: Limits, given: Given) -> Shape:
    if head.startswith(workbook.MAGIC):
        if not complete:
            raise Partial("A workbook can be looked at when all of it has arrived.")
        return xlsx_reader.shape_of(BytesIO(head), limits, given.get("sheet", ""), given.get("header"))
    return _of_text(head, name, complete, limits, given)


def _of_text(head: bytes, name: str, complete: bool, limits: Limits, given: Given) -> Shape:
    format, delimiter, header = given.get("format", ""), given.get("delimiter", ""), given.get("header")
    if format == "xlsx":
        raise Unreadable("The file is no Excel workbook.")
    codec = encodings.detect(head, complete, given.get("encoding", ""))
    text = encodings.decode(head, codec, complete)
    if not text.strip():
        raise Unreadable("The file is empty.")
    lines = _whole_lines(text, complete)
    kind = format or ("csv" if delimiter else _format(lines, text, _extension(name), header, complete))
    if kind == "json":
        return _document(text, codec, complete, limits)
    if kind == "jsonl":
        return Shape("jsonl", codec, columns=_keys(lines, limits))
    if kind == "text":
        return Shape("text", codec, columns=(plaintext.COLUMN,))
    table = _table(lines, "\t" if format == "tsv" else delimiter)
    _check_width(table, limits)
    return _tabular(table, codec, header, complete)


def _unpacked(head: bytes, complete: bool, limits: Limits) -> tuple[bytes, bool]:
    """The first part of what gzip packed, and whether it is all of it."""
    return take_head(decompression.Gunzip(BytesIO(head), limits, complete), limits.row_bytes, complete)


def _check_given(format: str, delimiter: str) -> None:
    if format and format not in FORMATS:
        raise Unreadable(f"The format {format[:40]!r} is not one of {', '.join(FORMATS)}.")
    if delimiter and (len(delimiter) != 1 or delimiter in '"\r\n\0 ' or first_surrogate(delimiter)):
        raise Unreadable("The delimiter must be one character, and no quote, space or line break.")


def _extension(name: str) -> str:
    return PurePosixPath(name.lower()).suffix.lstrip(".")


def _whole_lines(text: str, complete: bool) -> list[str]:
    """The lines of the head with their ends; a last one that may be cut is left out where another one stays."""
    lines = [line for line in _LINE.findall(text) if line]
    return lines[:-1] if not complete and len(lines) > 1 else lines


def _format(lines: Sequence[str], text: str, extension: str, header: bool | None, complete: bool) -> str:
    filled = [line.strip() for line in lines if line.strip()][:SAMPLE]
    if _is_document(text, filled, extension):
        return "json"
    if _is_jsonl(filled, extension):
        return "jsonl"
    if _is_other_document(text, filled, complete):
        raise Unreadable(NO_ARRAY)
    if extension in ("csv", "tsv", "tab"):
        return "csv"
    table = _table(lines, "")
    return "csv" if header or _is_table(table, "".join(lines), extension) else "text"


def _is_jsonl(filled: Sequence[str], extension: str) -> bool:
    objects = sum(_OBJECT.match(line) is not None for line in filled)
    hinted = NAMED.get(extension) in ("json", "jsonl")
    values = sum(_is_json(line) for line in filled if hinted or line[0] in "[{")
    return objects * 2 > len(filled) or values * 2 > len(filled) or (hinted and values > 0)


def _is_document(text: str, filled: Sequence[str], extension: str) -> bool:
    """Whether this is one JSON document that holds an array of rows, and not JSON Lines."""
    if not _DOCUMENT.match(text):
        return False
    if filled and _is_json(filled[0]):
        # One line alone is both; then it is for the name to say.
        kind = NAMED.get(extension, "")
        if len(filled) > 1 or kind == "jsonl" or (filled[0].startswith("{") and kind != "json"):
            return False
    return json_array.find(text) is not None


def _is_other_document(text: str, filled: Sequence[str], complete: bool) -> bool:
    """Whether this is a JSON document over several lines without rows."""
    if not filled or not _DOCUMENT.match(text) or _is_json(filled[0]):
        return False
    if complete:
        return _is_json(text)
    return text.lstrip().startswith("{") and sum(map(_is_json, filled)) * 2 <= len(filled)


def _document(text: str, codec: str, complete: bool, limits: Limits) -> Shape:
    path = json_array.find(text)
    if path is None:
        raise Unreadable(NO_ARRAY)
    columns = json_array.first_columns(text, path, limits)
    return Shape("json", codec, columns=columns, path=path)


def _is_json(line: str) -> bool:
    if jsonlines.has_too_many(line):  # To take it apart would take more memory than there is for it.
        return line[0] + line[-1] in ("[]", "{}")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _keys(lines: Sequence[str], limits: Limits) -> tuple[str, ...]:
    columns = jsonlines.Columns((), limits.columns)
    for line in lines:
        value, reason = jsonlines.parse(line.strip(jsonlines.SPACE), limits)
        if not reason:
            columns.add(value)
    return columns.names()


def _table(lines: Sequence[str], delimiter: str) -> Table:
    tables = [_read(lines, each) for each in delimiter or DELIMITERS]
    if not delimiter:
        tables.sort(key=lambda table: (table.fit, table.width), reverse=True)
    single = next(table for table in tables if table.delimiter in (delimiter or ","))
    best = next((table for table in tables if table.width > 1), single)
    # One column is what remains when no delimiter divides the records into about as many cells each.
    return best if best.fit >= _fit_as_one_column(best) else single


def _fit_as_one_column(table: Table) -> float:
    single = [len(record) == 1 for record in table.records]
    return sum(single) / len(single) + (0.5 if single[0] else 0)


def _read(lines: Sequence[str], delimiter: str) -> Table:
    """The first records. A cell over the parser's limit ends the sample: what came before it is enough."""
    reader = csv.reader((line.replace("\0", "\u2400") for line in lines), delimiter=delimiter)
    records: list[list[str]] = []
    cut = False
    try:
        for record in islice(filter(_is_filled, reader), SAMPLE):
            records.append(record)
    except csv.Error:
        cut = True
    return Table(delimiter, records or [[""]], cut)


def _is_filled(record: Sequence[str]) -> bool:
    return len(record) > 1 or bool(record and record[0].strip())


def _is_table(table: Table, text: str, extension: str) -> bool:
    """Whether lines in a file of no tabular name are cells all the same, and not sentences with commas."""
    divided = table.width > 1 and len(table.records[0]) == table.width and len(table.records) > 1
    if not divided or table.share < 0.9:
        return False
    mark = table.delimiter
    if mark in ",;" and text.count(mark + " ") * 2 > text.count(mark):
        return False
    return extension not in PROSE or mark == "\t" or is_header(table.records)


def _check_width(table: Table, limits: Limits) -> None:
    if table.width > limits.columns:
        raise Unreadable(f"The file has {table.width:,} columns or more; the limit is {limits.columns:,}.")


def _tabular(table: Table, codec: str, header: bool | None, complete: bool) -> Shape:
    first = table.records[0]
    named = is_header(table.records) if header is None else header
    if named and any(map(first_surrogate, first)):
        raise Unreadable(f"The header {encodings.undecodable(''.join(first), codec)}; save the file as UTF-8.")
    if named and complete and len(table.records) == 1 and not table.cut:
        raise Unreadable("The file has a header but no rows.")
    columns = column_names(first) if named else numbered(table.width)
    return Shape("tsv" if table.delimiter == "\t" else "csv", codec, table.delimiter, named, columns)
