from __future__ import annotations

import json

import pytest

from jobs.files import Limits, jsonlines
from tests.files.corpus import ENCODINGS, NEWLINES, ODDITIES, opened, reasons, rows, values

BATCH = (
    '{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user"}]}}'
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
def test_it_reads_each_newline_and_encoding(newline: str, encoding: str) -> None:
    data = newline.join(('{"a": 1}', "", '{"a": "ż"}', "")).encode(encoding)

    assert values(data, "a.jsonl") == [{"a": 1}, {"a": "ż"}]


@pytest.mark.parametrize("oddity", [odd for odd in ODDITIES if odd >= " "])
def test_it_keeps_what_only_looks_like_a_line_end(oddity: str) -> None:
    assert values(f'{{"a": "x{oddity}y"}}\n{{"a": 2}}\n') == [{"a": f"x{oddity}y"}, {"a": 2}]


@pytest.mark.parametrize("text", ['{"a": 1e2, "a": 10.50}', '{"b":"\\u0000","a":-0}', "[1, 2]", BATCH])
def test_it_keeps_a_values_own_text(text: str) -> None:
    assert rows(f"  {text} \n", "a.jsonl")[0].payload == text


def test_it_reads_openai_batch_lines() -> None:
    assert opened(BATCH + "\n" + BATCH).columns == ("custom_id", "method", "url", "body")


def test_it_unites_the_keys_in_order_of_appearance() -> None:
    assert opened('{"b":1,"a":2}\n{"c":1,"a":2}\n').columns == ("b", "a", "c")


def test_it_collects_keys_that_come_late() -> None:
    reader = opened('{"a":1}\n' * 100_000 + '{"late":1}\n')
    before = reader.columns
    list(reader)

    assert (before, reader.columns) == (("a",), ("a", "late"))


def test_it_reads_bare_values_into_one_column() -> None:
    reader = opened('"a"\n2\nnull\n[3]\n', "a.jsonl")

    assert ([row.payload for row in reader], reader.columns) == (['"a"', "2", "null", "[3]"], ("value",))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1', "is not valid JSON: expecting ',' delimiter at character 8"),
        ('{"a": "b}', "is not valid JSON: unterminated string starting at character 7"),
        ('{"a": 1} x', "is not valid JSON: extra data at character 10"),
        ('{"a": NaN}', "is not valid JSON: NaN is no JSON value"),
        ('{"a": -Infinity}', "is not valid JSON: -Infinity is no JSON value"),
        ('{"a": %s}' % ("9" * 5_000), "holds a number of more than 4,300 digits"),
        ("[" * 100_000, "is nested deeper than 200 levels"),
        ("[" * 201 + "]" * 201, "is nested deeper than 200 levels"),
        ('{"a": "\0"}', "is not valid JSON: invalid control character at character 8"),
    ],
)
def test_it_says_why_a_line_is_refused(line: str, reason: str) -> None:
    assert reasons(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n') == {2: reason}


def test_it_takes_a_value_as_deep_as_the_limit() -> None:
    assert reasons('{"a": 1}\n' + "[" * 200 + "]" * 200 + "\n") == {}


def test_it_does_not_take_brackets_in_strings_for_depth() -> None:
    assert reasons('{"a": "%s"}\n' % ("[" * 500)) == {}


def test_it_keeps_the_text_of_a_refused_line() -> None:
    assert json.loads(rows('{"a": 1}\n{"a": "x\0\n')[1].payload) == '{"a": "x\u2400'


def test_it_rejects_undecodable_bytes_and_goes_on() -> None:
    data = b'{"a": 1}\n{"a": "\xff"}\n{"a": 2}\n'

    assert reasons(data) == {2: "is not valid UTF-8: byte 0xFF"}


def test_it_rejects_a_line_over_the_limit_and_goes_on() -> None:
    data = '{"a": 1}\n{"a": "%s"}\n{"a": 2}\n' % ("x" * 500)

    assert reasons(data, "", Limits(row_bytes=100)) == {2: "is longer than 100 bytes"}


def test_it_shortens_the_payload_of_a_long_line() -> None:
    data = '{"a": 1}\n{"a": "%s"}\n' % ("x" * 5_000)

    assert len(rows(data, "", Limits(row_bytes=2_000))[1].payload) < 1_100


def test_it_rejects_a_string_over_the_limit() -> None:
    data = '{"a": 1}\n{"a": "%s"}\n' % ("x" * 101)

    assert reasons(data, "", Limits(cell_chars=100)) == {2: "has 101 characters in column a, the limit is 100"}


def test_it_rejects_an_object_of_too_many_keys() -> None:
    data = '{"a": 1}\n{"b": 1, "c": 2, "d": 3}\n'

    assert reasons(data, "", Limits(columns=2)) == {2: "has 3 keys, the limit is 2"}


def test_it_lists_no_more_columns_than_the_limit() -> None:
    reader = opened('{"a": 1}\n{"b": 1}\n{"c": 1}\n', "", Limits(columns=2))

    assert (reasons('{"a":1}\n{"b":1}\n{"c":1}', "", Limits(columns=2)), reader.columns) == ({}, ("a", "b"))


def test_it_makes_no_column_of_a_key_that_is_far_too_long() -> None:
    reader = opened(json.dumps({"a": 1, "k" * 10_000: 2, "l" * 10_001: 3}) + "\n", "a.jsonl")

    assert next(reader).reason == ""
    assert reader.columns == ("a", "k" * 10_000)


def test_it_rejects_a_line_of_more_values_than_memory_has_room_for() -> None:
    lines = ["[" + "0," * 1_000_000 + "0]", json.dumps(["a, " * 200_000]), "[1]"]

    assert reasons("\n".join(lines), "a.jsonl") == {1: "holds more than 300,000 values"}


@pytest.mark.parametrize(
    ("text", "deep"), [("[[1]]", True), ('["[[[["]', False), ('{"a\\"[[": [1', True), ('"[[[', False), ("[[", True)]
)
def test_it_tells_how_deep_a_text_nests_also_a_broken_one(text: str, deep: bool) -> None:
    assert jsonlines.nests_deeper(text, 1) == deep
