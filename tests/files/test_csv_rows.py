from __future__ import annotations

import csv
import io
import json

import pytest

from jobs.files import LIMITS, Limits, Unreadable, read, sniff
from tests.files.corpus import ODDITIES, TABLES, csv_text, opened, reasons, rows, values

TABLE = [
    ["id", "query"],
    ["1", "plain"],
    ["2", 'a "quoted" one'],
    ["3", "two\nlines"],
    ["4", "; , | \t"],
    ["5", "żółw"],
]


@pytest.mark.parametrize(("delimiter", "newline", "encoding"), TABLES)
def test_it_reads_each_delimiter_newline_and_encoding(delimiter: str, newline: str, encoding: str) -> None:
    data = csv_text(TABLE, delimiter, newline).encode(encoding)

    assert values(data, "a.csv") == TABLE[1:]


@pytest.mark.parametrize("oddity", ODDITIES)
def test_it_keeps_what_only_looks_like_a_line_end(oddity: str) -> None:
    assert values(f"id,query\n1,a{oddity}b\n2,c\n", "a.csv") == [["1", f"a{oddity}b"], ["2", "c"]]


def test_it_takes_mixed_newlines() -> None:
    assert values("id,query\r\n1,a\n2,b\r3,c", "a.csv") == [["1", "a"], ["2", "b"], ["3", "c"]]


def test_it_keeps_crlf_inside_quotes() -> None:
    assert values('id,query\r\n1,"a\r\nb"\r\n', "a.csv") == [["1", "a\r\nb"]]


def test_it_skips_blank_lines() -> None:
    reader = opened("id,query\n\n1,a\n   \n\n2,b\n\n", "a.csv")

    assert (len(list(reader)), reader.rows, reader.blank) == (2, 2, 4)


def test_it_keeps_an_empty_quoted_cell_of_one_column() -> None:
    assert values('query\n""\na\n', "a.csv") == [[""], ["a"]]


def test_it_keeps_a_row_of_empty_cells() -> None:
    assert values("id,query\n,\n1,a\n", "a.csv") == [["", ""], ["1", "a"]]


def test_it_rejects_a_row_of_wrong_width_and_goes_on() -> None:
    data = "a,b,c,d\n1,2,3,4\n1,2,3\n1,2,3,4,5\n5,6,7,8\n"

    assert reasons(data, "a.csv") == {
        2: "has 3 cells, expected 4 (columns a, b, c, d)",
        3: "has 5 cells, expected 4 (columns a, b, c, d)",
    }


def test_it_names_only_the_first_columns_in_a_reason() -> None:
    data = ",".join("abcdefghij") + "\n" + "1\n" + ",".join("1234567890") + "\n"

    assert reasons(data, "a.csv")[1] == "has 1 cell, expected 10 (columns a, b, c, d, e, f, g, h, …)"


def test_it_keeps_what_could_be_read_of_a_bad_row() -> None:
    assert json.loads(rows("a,b\n1,2,3\n1,2\n", "a.csv")[0].payload) == ["1", "2", "3"]


def test_it_rejects_undecodable_bytes_and_goes_on() -> None:
    data = b"id,query\n1,fine\n2,caf\xff\n3,good\n"

    assert reasons(data, "a.csv") == {2: "is not valid UTF-8: byte 0xFF in column query"}


def test_it_rejects_half_a_utf_16_pair_and_goes_on() -> None:
    data = "id,query\n1,fine\n".encode("utf-16") + b"2\0,\0\x3d\xd8\n\0" + "3,good\n".encode("utf-16-le")

    assert reasons(data, "a.csv") == {2: "is not valid UTF-16: 0xD83D is half a character in column query"}


def test_it_makes_a_bad_row_storable() -> None:
    assert json.loads(rows(b"id,q\n1,\xff\n2,a\n3,b\n", "a.csv")[0].payload) == ["1", "\ufffd"]


def test_it_shows_nul_as_a_symbol() -> None:
    assert values("id,q\n1,a\0b\n2,c\n3,d\n", "a.csv") == [["1", "a\u2400b"], ["2", "c"], ["3", "d"]]


def test_it_rejects_a_cell_over_the_limit() -> None:
    data = f'id,q\n1,"{"x" * 101}"\n2,b\n'

    assert reasons(data, "a.csv", Limits(cell_chars=100)) == {1: "has 101 characters in column q, the limit is 100"}


def test_it_reads_cells_over_the_parsers_own_limit() -> None:
    before = csv.field_size_limit(131_072)
    try:
        assert [len(cell) for _, cell in values(f"id,q\n1,{'x' * 900_000}\n2,b\n", "a.csv")] == [900_000, 1]
    finally:
        csv.field_size_limit(before)


def test_it_leaves_the_parsers_limit_alone_without_need() -> None:
    before = csv.field_size_limit(131_072)
    try:
        rows("id,q\n1,a\n", "a.csv")
        assert csv.field_size_limit() == 131_072
    finally:
        csv.field_size_limit(before)


def test_it_rejects_a_line_over_the_limit_and_goes_on() -> None:
    data = f"id,q\n1,{'x' * 600}\n2,{'é' * 400}\n3,c\n"
    limits = Limits(row_bytes=500)

    assert reasons(data, "a.csv", limits, header=True) == {
        1: "is longer than 500 bytes",
        2: "is longer than 500 bytes",
    }


def test_it_names_the_row_in_which_a_quote_stays_open() -> None:
    with pytest.raises(Unreadable, match=r"^A quote that opens in row 3 \(line 6\) is never closed\.$"):
        rows('id,q\n1,a\n2,"b\nb"\n\n3,"c\n4,d\n', "a.csv")


def test_it_gives_up_on_a_quote_that_stays_open_too_long() -> None:
    data = 'id,q\n1,a\n2,"b\n' + "3,c\n" * 500

    with pytest.raises(Unreadable, match=r"row 2 \(line 3\) is not closed within 1,000 bytes"):
        rows(data, "a.csv", Limits(row_bytes=1_000))


def test_it_gives_up_on_a_long_line_that_ends_inside_a_quote() -> None:
    with pytest.raises(Unreadable, match=r"row 1 \(line 2\) is not closed within 100 bytes"):
        rows(f'id,q\n1,"{"x" * 200}\n2,b\n', "a.csv", Limits(row_bytes=100), header=True)


def test_it_yields_the_rows_before_an_open_quote() -> None:
    reader = opened('id,q\n1,a\n2,"b\n', "a.csv")

    assert json.loads(next(reader).payload) == ["1", "a"]


def test_it_stops_at_the_limit_of_rows() -> None:
    with pytest.raises(Unreadable, match="more than 3 rows"):
        rows("id\n1\n2\n3\n4\n", "a.csv", Limits(rows=3))


def test_it_refuses_too_many_columns() -> None:
    with pytest.raises(Unreadable, match="2,001 columns or more; the limit is 2,000"):
        rows(",".join(f"c{n}" for n in range(2_001)) + "\n1\n", "a.csv", LIMITS)


def test_it_refuses_a_header_with_nothing_but_blank_lines_below() -> None:
    with pytest.raises(Unreadable, match="a header but no rows"):
        rows("id,query\n\n\n" + "\n" * 600_000, "a.csv")


def test_it_reads_a_file_without_header() -> None:
    reader = opened("1,a\n2,b\n", "a.csv")

    assert (next(reader).payload, reader.columns) == ('["1","a"]', ("column 1", "column 2"))


def test_it_leaves_the_stream_open() -> None:
    stream = io.BytesIO(b"id,q\n1,a\n")
    list(read(stream, sniff(b"id,q\n1,a\n", "a.csv")))

    assert not stream.closed


def test_it_names_a_long_column_briefly() -> None:
    column = "c" * 5_000
    limits = Limits(cell_chars=5_000)

    assert reasons(f"a,{column}\n1,{'x' * 5_001}\n1\n", "a.csv", limits, header=True) == {
        1: f"has 5,001 characters in column {'c' * 80}…, the limit is 5,000",
        2: f"has 1 cell, expected 2 (columns a, {'c' * 80}…)",
    }
