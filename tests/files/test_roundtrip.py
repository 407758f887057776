from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.files import Result, Shape, Unreadable, csv_chunk, csv_line, preflight, read, result_header, unguard
from tests.files.corpus import ENCODINGS, NEWLINES, ODDITIES, opened

CELL = st.text(max_size=12) | st.sampled_from([*ODDITIES, '"', '""', "\n", "\r\n", "\r", ",", ";", "\t", "'", "=1", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | CELL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CELL, inner, max_size=3),
    max_leaves=8,
)


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


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "text"])
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
