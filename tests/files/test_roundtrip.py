from __future__ import annotations

import csv
import gzip
import io
import json
import re
from datetime import date, datetime, time

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.files import (
    LIMITS,
    Result,
    Row,
    Shape,
    Unreadable,
    csv_chunk,
    csv_line,
    preflight,
    read,
    result_header,
    unguard,
)
from jobs.files.decompression import Gunzip
from tests.files.corpus import ENCODINGS, NEWLINES, ODDITIES, opened, saved

CELL = st.text(max_size=12) | st.sampled_from([*ODDITIES, '"', '""', "\n", "\r\n", "\r", ",", ";", "\t", "'", "=1", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | CELL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CELL, inner, max_size=3),
    max_leaves=8,
)


WRITTEN = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff_="), min_size=1, max_size=12
    )
    | st.integers(-(10**14), 10**14)
    | st.booleans()
    | st.dates(date(1900, 3, 1), date(9999, 12, 31))
    | st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0))
)


def written_tables(width: int) -> st.SearchStrategy[list[list[object]]]:
    return st.lists(st.lists(WRITTEN, min_size=width, max_size=width), min_size=1, max_size=8)


def shown(cell: object) -> str:
    """A cell as it is to be read."""
    if isinstance(cell, datetime):
        return str(cell.date() if cell.time() == time() else cell)
    return str(cell).upper() if isinstance(cell, bool) else str(cell)


def rows_of(data: bytes, shape: Shape) -> list[Row]:
    return list(read(io.BytesIO(data), shape))


def _lone(value: object) -> bool:
    return bool(re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)))


def tables(width: int) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    table=st.integers(1, 4).flatmap(tables),
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(NEWLINES),
    encoding=st.sampled_from(ENCODINGS),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_it_reads_the_table_that_was_written(
    table: list[list[str]], delimiter: str, newline: str, encoding: str, quoting: int
) -> None:
    # The writer leaves a lone CR unquoted when lines end otherwise; a file like that has no one meaning.
    quoting = csv.QUOTE_ALL if newline != "\r\n" else quoting
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    shape = Shape("csv", encoding, delimiter, False, tuple(f"c{n}" for n in range(len(table[0]))))

    rows = list(read(io.BytesIO(text.getvalue().encode(encoding)), shape))

    assert [json.loads(row.payload) for row in rows] == [[c.replace("\0", "\u2400") for c in row] for row in table]


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=8), st.sampled_from(NEWLINES), st.booleans())
def test_it_reads_the_values_that_were_written(values: list[object], newline: str, ascii: bool) -> None:
    data = newline.join(json.dumps(value, ensure_ascii=ascii) for value in values).encode("utf-8", "surrogatepass")

    rows = list(opened(data, format="jsonl"))

    assert [json.loads(row.payload) for row in rows if not row.reason] == values


@settings(max_examples=150, deadline=None)
@given(
    st.lists(JSON, min_size=1, max_size=8),
    st.sampled_from(NEWLINES),
    st.sampled_from([None, 2]),
    st.sampled_from(["", "data", 'a"\n']),
)
def test_it_reads_the_document_that_was_written(
    values: list[object], newline: str, indent: int | None, path: str
) -> None:
    document = {"first": {"a": [{}]}, path: values, "last": [1, "x"]} if path else values
    text = json.dumps(document, ensure_ascii=False, indent=indent).replace("\n", newline)
    shape = Shape("json", "utf-8", path=path)

    rows = list(read(io.BytesIO(text.encode("utf-8", "surrogatepass")), shape))

    assert [json.loads(row.payload) for row in rows if not row.reason] == [
        value for value in values if not _lone(value)
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=8))
def test_it_reads_an_array_as_it_reads_lines(values: list[object]) -> None:
    texts = [json.dumps(value) for value in values]
    lines = "\n".join(texts).encode()
    array = f"[{', '.join(texts)}]".encode()

    assert rows_of(array, Shape("json", "utf-8")) == rows_of(lines, Shape("jsonl", "utf-8"))


@settings(max_examples=60, deadline=None)
@given(table=st.integers(1, 4).flatmap(lambda width: written_tables(width)), shared=st.booleans())
def test_it_reads_the_sheet_that_was_written(table: list[list[object]], shared: bool) -> None:
    shape = Shape("xlsx", "utf-8", columns=tuple(f"c{n}" for n in range(len(table[0]))), sheet="S")
    book = openpyxl.Workbook(write_only=not shared)
    sheet = book.create_sheet("S")
    for record in table:
        sheet.append(record)

    rows = [json.loads(row.payload) for row in read(io.BytesIO(saved(book)), shape)]

    assert rows == [[shown(cell) for cell in record] for record in table]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=6), st.integers(1, 700))
def test_it_unpacks_what_was_packed(members: list[bytes], size: int) -> None:
    stream = Gunzip(io.BytesIO(b"".join(map(gzip.compress, members))), LIMITS)

    assert b"".join(iter(lambda: stream.read(size), b"")) == b"".join(members)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1), min_size=1),
    st.sampled_from(NEWLINES),
    st.sampled_from(ENCODINGS),
)
def test_it_reads_the_lines_that_were_written(lines: list[str], newline: str, encoding: str) -> None:
    shape = Shape("text", encoding, columns=("text",))
    expected = [[line] for line in lines if line.strip(" \t")]
    reader = read(io.BytesIO(newline.join([*lines, "last"]).encode(encoding)), shape)

    assert [json.loads(row.payload) for row in reader] == [*expected, ["last"]]


@settings(max_examples=100, deadline=None)
@given(tables(2))
def test_it_reads_its_own_result_back(table: list[list[str]]) -> None:
    table = [[cell.replace("\0", "\u2400") for cell in row] for row in table]  # as the readers store it
    source = Shape("csv", "utf-8", ",", True, ("a", "b"))
    results = [Result(n, "succeeded", json.dumps(row)) for n, row in enumerate(table, 1)]
    text = csv_line(result_header(source.columns, ())) + csv_chunk(results, source.columns, (), source)
    shape = Shape("csv", "utf-8", ",", True, tuple(result_header(source.columns, ())))

    rows = read(io.BytesIO(text.encode()), shape)

    back = [[unguard(cell) for cell in json.loads(row.payload)[:2]] for row in rows]
    assert back == table


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"a", b",", b'"', b"\n", b"\r", b"\t", b";", b"\0", b"\xff", b"{", b"}", b"[", b'{"a":1}', b"\x85"]
        )
        | st.binary(max_size=4),
        max_size=30,
    ),
    st.sampled_from(["", "a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json"]),
)
def test_it_meets_no_exception_but_its_own(pieces: list[bytes], name: str) -> None:
    data = b"".join(pieces)
    try:
        report = preflight(io.BytesIO(data), name)
    except Unreadable:
        return
    assert report.rows == len(list(opened(data, name)))


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "json", "text", "xlsx"])
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), encoding=st.sampled_from(["utf-8", "utf-16", "cp1252", "shift_jis", "utf-7"]))
def test_it_follows_overrides_without_stumbling(format: str, data: bytes, encoding: str) -> None:
    try:
        payloads = [row.payload for row in opened(data, format=format, encoding=encoding)]
    except Unreadable:
        return
    for payload in payloads:
        json.loads(payload)
        payload.encode()
