"""Files that are made to hurt. None of them is ever in memory as a whole, here or there."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.files import Limits, Unreadable, open_rows, preflight
from tests.files.corpus import Endless, bomb, parts, zipped

MB = 1_000_000
TINY = Limits(row_bytes=30_000, cell_chars=10_000)
SMALL = Limits(row_bytes=MB, cell_chars=100_000)
# In a process of its own: one that has grown before has room that it need not grow for.
GROWING = """
import io, sys
from jobs.files import Unreadable, memory, preflight

memory.MOST = 20_000_000
try:
    preflight(io.BytesIO(sys.stdin.buffer.read()), "a.xlsx")
except Unreadable as error:
    print(error)
"""


@contextmanager
def peak_below(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("start", "piece", "name"),
    [
        (b"id,q\n1,a\n2,", b"x", "a.csv"),
        (b'{"a": 1}\n{"a": "', b"x", "a.jsonl"),
        (b"first\n", "é".encode() * 2, "a.txt"),
    ],
)
def test_it_rejects_a_line_of_500_mb(start: bytes, piece: bytes, name: str) -> None:
    report = preflight(Endless(start, piece, 500 * MB), name)

    assert (report.rows, [row for row, _ in report.bad]) == (2, [2])


@pytest.mark.parametrize(
    ("start", "name"), [(b"id,q\n1,a\n2,", "a.csv"), (b'{"a": 1}\n{"a": "', "a.jsonl"), (b"first\n", "a.txt")]
)
def test_it_stays_small_over_a_long_line(start: bytes, name: str) -> None:
    with peak_below(20):
        preflight(Endless(start, b"x", 100 * MB), name, SMALL)


def test_it_stays_small_over_an_open_quote() -> None:
    with peak_below(20), pytest.raises(Unreadable, match="quote that opens in row 2"):
        preflight(Endless(b'id,q\n1,a\n2,"', b"some words, and more\n", 100 * MB), "a.csv", SMALL)


def test_it_stays_small_over_a_file_without_any_line_end() -> None:
    with peak_below(30):
        report = preflight(Endless(b"a", b"b", 100 * MB), "a.txt", SMALL)

    assert report.bad_total == 1


def test_it_stays_small_over_many_rows() -> None:
    with peak_below(5):
        assert preflight(Endless(b"a,q\n", b"1,some words to read\n", 5 * MB), "a.csv").rows > 200_000


@pytest.mark.parametrize("piece", [b",", b"a,", b'"a",'])
def test_it_refuses_a_million_columns(piece: bytes) -> None:
    with peak_below(60), pytest.raises(Unreadable, match="columns"):
        preflight(Endless(b"x,", piece, 2 * MB), "a.csv", SMALL)


def test_it_rejects_a_row_of_a_million_cells() -> None:
    report = preflight(Endless(b"id,q\n1,a\n", b",", MB), "a.csv")

    assert report.bad[0][1].startswith("has 999,992 cells, expected 2")


def test_it_keeps_little_of_a_row_of_a_million_cells() -> None:
    reader = open_rows(Endless(b"id,q\n1,a\n", b",", MB), "a.csv")

    assert [len(json.loads(row.payload)) for row in reader] == [2, 2_000]


@pytest.mark.parametrize("piece", [b"\xff", b"\xe4", b"\x81", b"a\xff", "東".encode("cp932"), b"\0", b"\xc3"])
def test_it_stays_small_over_a_long_line_of_another_encoding(piece: bytes) -> None:
    with peak_below(40), contextlib.suppress(Unreadable):
        preflight(Endless(b"", piece, 3 * MB), "a.csv", SMALL)


@pytest.mark.parametrize("start", [b'[{"a": "', b"[[", b'{"data": [{"a": "', b"[1, 2, {'"])
@pytest.mark.parametrize("piece", [b"x", b"[", b'{"a":', b'"', b"1", b"\\"])
def test_it_stays_small_over_any_json(start: bytes, piece: bytes) -> None:
    with peak_below(8), contextlib.suppress(Unreadable):
        preflight(Endless(start, piece, 160_000), "a.json", TINY)


def test_it_stays_small_over_a_row_of_millions_of_values() -> None:
    with peak_below(60), pytest.raises(Unreadable, match="ends in the middle, in row 2"):
        preflight(Endless(b'[{"a": 1}, {"a": [', b"{},", 4 * MB), "a.json", Limits())


def test_it_reads_lone_surrogates_of_json_as_bad_rows() -> None:
    report = preflight(
        io.BytesIO(b'[{"\xc3\xa4": 1},\n{"a": "\xed\xa0\x80"},\n"\xc3\xb6\xc3\xbc\\ud800",\n2]'), "a.json"
    )

    assert (report.rows, [row for row, _ in report.bad]) == (4, [2])


@pytest.mark.parametrize("xml", ["<c><v>1</v></c>" * 100_000, "<c/>" * 500_000, '<c t="str"><v>' + "x" * 10 * MB])
def test_it_stays_small_over_a_long_row_of_a_sheet(xml: str) -> None:
    data = zipped(parts(f"<row><c><v>1</v></c></row><row>{xml}"))

    with peak_below(60), contextlib.suppress(Unreadable):
        preflight(io.BytesIO(data), "a.xlsx", SMALL)


def test_it_stays_small_over_a_long_name_in_a_sheet() -> None:
    data = zipped(parts(f'<row><c><v>1</v></c></row><row a="{"x" * 10 * MB}"/>'))

    with peak_below(60), pytest.raises(Unreadable, match="damaged near row 1"):
        preflight(io.BytesIO(data), "a.xlsx", SMALL)


@pytest.mark.parametrize(
    "xml",
    [
        "".join(f"<t{at:x}/>" for at in range(400_000)),
        "<t>" * 400_000,
        "".join(f'<t a{at:x}=""/>' for at in range(400_000)),
    ],
    ids=["names", "levels", "attributes"],
)
def test_it_gives_up_what_makes_it_grow(xml: str) -> None:
    row = '<row><c t="str"><v>a</v></c></row>'
    done = subprocess.run(
        [sys.executable, "-c", GROWING], input=zipped(parts(row * 3 + xml + row)), capture_output=True, check=True
    )

    assert done.stdout.startswith(b"This file takes too much memory to read")


def test_it_stays_small_over_a_bomb() -> None:
    data = bomb(b"id,q\n", b"x", 100)

    with peak_below(20), pytest.raises(Unreadable, match="200 times"):
        preflight(io.BytesIO(data), "a.csv.gz", SMALL)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 50_000 + b"]" * 50_000])
def test_it_rejects_deep_json(line: bytes) -> None:
    report = preflight(Endless(b'{"a":1}\n' + line + b'\n{"a":2}\n', b'{"a":3}\n', 2 * MB), "a.jsonl")

    assert report.bad == ((2, "is nested deeper than 200 levels"),)


@pytest.mark.parametrize(
    "name", ["../../x", "a\0.csv", "<img onerror>", "x" * 5_000, "CON", "\u202egpj.csv", "-x", "."]
)
def test_it_takes_any_name_for_a_mere_hint(name: str) -> None:
    assert preflight(Endless(b"id,q\n", b"1,a\n", 100), name).columns == ("id", "q")


def test_it_refuses_a_stream_of_nothing() -> None:
    with pytest.raises(Unreadable, match="empty"):
        preflight(Endless(b"", b"x", 0), "a.csv")
