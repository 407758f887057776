from __future__ import annotations

import gzip
import random

import pytest

from jobs.files import Shape, Unreadable, sniff
from tests.files.corpus import opened, reasons


def shape(text: str, name: str = "", **overrides: object) -> Shape:
    return sniff(text.encode(), name, complete=True, **overrides)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "name", "format", "delimiter"),
    [
        ("id,q\n1,a\n", "a.csv", "csv", ","),
        ("id;q\n1;a\n", "a.csv", "csv", ";"),
        ("id|q\n1|a\n", "a.csv", "csv", "|"),
        ("id\tq\n1\ta\n", "a.csv", "tsv", "\t"),
        ("id\tq\n1\ta\n", "a.tsv", "tsv", "\t"),
        ("id\tq\n1\ta\n", "", "tsv", "\t"),
        ("id,q\n1,a\n", "", "csv", ","),
        ("id,q\n1,a\n", "a.txt", "csv", ","),
        ("price;q\n1,5;a\n2,5;b\n3,7;c\n", "a.csv", "csv", ";"),
        ("id;q\n1;a\n2\n", "a.csv", "csv", ";"),
        ("id;q\n1\n2\n3;c\n4\n", "a.csv", "csv", ";"),
        ("query\na, b\nc, d\ne\n", "a.csv", "csv", ","),
        ('id,q\n1,"a; b; c"\n2,"d; e; f"\n', "a.csv", "csv", ","),
        ('id,q\n1,"a\nb, c, d\ne"\n', "a.csv", "csv", ","),
        ("query\nfoo\nbar\n", "a.csv", "csv", ","),
        ("Well, yes.\nOh, no.\n", "", "text", ""),
        ("one, two\nthree, four\n", "a.txt", "text", ""),
        ("foo\nbar baz\n", "a.unknown", "text", ""),
        ("{name} lives in {city}\n{x} is here\n", "a.txt", "text", ""),
        ('{"a":1}\n{"a":2}\n', "a.csv", "jsonl", ""),
        ('{"a":1}', "a.json", "jsonl", ""),
        ('{"a":1\n{"a":2}\n{"a":3}\n', "", "jsonl", ""),
        ("[1,2]\n[3,4]\n", "", "jsonl", ""),
        ("1\n2\n", "a.ndjson", "jsonl", ""),
    ],
)
def test_it_recognises_a_file(text: str, name: str, format: str, delimiter: str) -> None:
    found = shape(text, name)

    assert (found.format, found.delimiter) == (format, delimiter)


def test_it_expects_the_headers_width_when_most_rows_differ() -> None:
    assert reasons("id,query\n1,a,b\n2,c,d\n3,e\n", "a.csv").keys() == {1, 2}


@pytest.mark.parametrize("rest", [",2\n", '"\n', "é"])
def test_it_leaves_out_a_last_line_that_may_be_cut(rest: str) -> None:
    head = ("id,q\n1,a\n2,b\n" + rest).encode()[:-1]

    assert sniff(head, "a.csv").columns == ("id", "q")


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"", "is empty"),
        (b" \n\n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"id,query\n", "a header but no rows"),
        (b"query", "a header but no rows"),
        (b"\x00\x01\x02", "binary"),
        (random.Random(1).randbytes(3_000), "binary"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"id,q\n1,a\n")[:-4], "gzip file ends in the middle"),
        (gzip.compress(b"\x00\x01\x02"), "binary"),
        (b"PK\x03\x04" + bytes(100), "workbook is damaged"),
        (b"%PDF-1.7\n", "PDF"),
        ("id,q\n1,ä\n".encode("utf-32"), "UTF-32"),
        (b"a\xff,b\xfe\n1,2\n3,4\n5,6\n", r"header is not valid UTF-8: byte 0xFF"),
        (b"\xffa\n\xfea\n\xffa\nabc\n", r"not valid UTF-8 \(byte 0xFF in line 1\)"),
        (b'{\n  "a": 1,\n  "b": 2\n}\n', "one JSON document and holds no array"),
        (b'{"a": [{"x": 1}],\n "b": [{"y": 1}]}', "more than one array"),
    ],
)
def test_it_refuses_what_cannot_be_a_job(head: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        sniff(head, "a.csv", complete=True)


def test_it_refuses_a_long_json_document_by_its_head() -> None:
    with pytest.raises(Unreadable, match="one JSON document"):
        sniff(b'{\n "a": 1,\n' + b' "b": 2,\n' * 1_000, "a.json")


def test_it_recognises_a_document_cut_in_its_first_line() -> None:
    assert sniff(b'\n[{"a": 1}, {"a"').format == "json"


def test_it_takes_a_line_for_text_that_is_cut_below_a_blank_one() -> None:
    assert sniff(b"\n{name} lives in").format == "text"


def test_it_takes_a_long_file_whose_first_line_is_broken() -> None:
    assert sniff(b'{"a": \n' + b'{"a": 2}\n' * 1_000).format == "jsonl"


@pytest.mark.parametrize(
    ("overrides", "columns"),
    [
        ({"header": False}, ("column 1", "column 2")),
        ({"delimiter": ";"}, ("column 1",)),
        ({"format": "text"}, ("text",)),
        ({"format": "csv"}, ("id", "q")),
    ],
)
def test_it_follows_what_is_given(overrides: dict[str, object], columns: tuple[str, ...]) -> None:
    assert shape("id,q\nx,a\n", "a.csv", **overrides).columns == columns


def test_it_takes_an_encoding_that_is_given() -> None:
    reader = opened("größe,q\n1,ä\n".encode("cp1252"), "a.csv", encoding="cp1252")

    assert (reader.columns, [row.payload for row in reader]) == (("größe", "q"), ['["1","ä"]'])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"format": "parquet"}, "'parquet' is not one of csv, tsv, jsonl, json, xlsx, text"),
        ({"encoding": "klingon"}, "'klingon' is not known"),
        ({"encoding": "base64"}, "'base64' is not known"),
        ({"delimiter": "||"}, "one character"),
        ({"delimiter": '"'}, "one character"),
    ],
)
def test_it_refuses_what_nobody_can_follow(overrides: dict[str, object], sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        shape("id,q\n1,a\n", "a.csv", **overrides)


def test_it_comes_back_from_storage() -> None:
    found = shape("id\tq\n1\ta\n")

    assert Shape.from_dict(found.to_dict()) == found


def test_it_comes_back_from_a_storage_that_knew_less() -> None:
    stored = {"format": "csv", "encoding": "utf-8", "delimiter": ",", "header": True, "columns": ["a"]}

    assert Shape.from_dict(stored) == Shape("csv", "utf-8", ",", True, ("a",))


def test_it_comes_back_from_a_storage_that_knew_more() -> None:
    assert Shape.from_dict({"format": "text", "encoding": "utf-8", "moon": "full"}) == Shape("text", "utf-8")


def test_it_does_not_miss_a_row_with_a_huge_cell() -> None:
    assert sniff(b"id,q\n1," + b"x" * 140_000, "a.csv", complete=True).columns == ("id", "q")
