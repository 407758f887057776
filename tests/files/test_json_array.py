from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.files import Limits, Unreadable, json_array, preflight
from jobs.files.json_array import PIECE
from tests.files.corpus import Endless, opened, reasons, rows, values


def refused(data: str | bytes, name: str = "a.json", limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        rows(data, name, limits or Limits())
    return str(caught.value)


@pytest.mark.parametrize("text", ['{"a":1e2,"a":10.50}', '{"b":"\\u0000","a":-0}', "[1, 2]", "1.10", '"x"', "null"])
def test_it_keeps_a_values_own_text(text: str) -> None:
    assert [row.payload for row in rows(f"[{text},\n{text}]", "a.json")] == [text, text]


def test_it_puts_a_value_of_many_lines_on_one() -> None:
    assert rows('[\n  {\n    "a": "b  c",\r\n    "d": [1,\n 2]\n  }\n]')[0].payload == '{"a": "b  c","d": [1,2]}'


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"data": [{"a": 1}]}', "data"),
        ('{"object": "list", "data": [{"a": 1}], "more": {"b": [1, {}]}, "last": "]}"}', "data"),
        ('{"tags": ["x", "y"],\n "items": [{"a": 1}]}', "items"),
        ('{"empty": [],\n "items": [{"a": 1}]}', "items"),
        ('{"a\\"b": [{"a": 1}]}', 'a"b'),
    ],
)
def test_it_finds_the_array_in_an_object(text: str, path: str) -> None:
    reader = opened(text, "a.json")

    assert (reader.shape.path, [row.payload for row in reader]) == (path, ['{"a": 1}'])


def test_it_takes_one_line_for_json_lines_unless_it_is_named_otherwise() -> None:
    text = '{"messages": [{"role": "user"}]}'

    assert [opened(text, name).shape.format for name in ("a.jsonl", "", "a.json")] == ["jsonl", "jsonl", "json"]


def test_it_unites_the_keys_in_order_of_appearance() -> None:
    assert opened('[{"b":1,"a":2},\n{"c":1}]').columns == ("b", "a", "c")


def test_it_collects_keys_that_come_late() -> None:
    reader = opened("[" + '{"a":1},' * 100_000 + '{"late":1}]', "a.json")
    before = reader.columns
    list(reader)

    assert (before, reader.columns) == (("a",), ("a", "late"))


@pytest.mark.parametrize("size", range(PIECE - 12, PIECE + 3))
def test_it_reads_a_value_that_is_cut_anywhere(size: int) -> None:
    text = '[{"a": "' + "x" * size + '"}, 12345, -1.5e10, true, {"b": "\\u00e9\\"]"}]'

    assert values(text, "a.json")[1:] == [12345, -1.5e10, True, {"b": 'é"]'}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"a": }', "is not valid JSON: expecting value at character 7"),
        ('{"a": 1, b}', "is not valid JSON: expecting property name enclosed in double quotes at character 10"),
        ('{"a": "x\ty"}', "is not valid JSON: invalid control character at character 9"),
        ("nul", "is not valid JSON: expecting value at character 1"),
        ("{'a': 1}", "is not valid JSON: expecting property name enclosed in double quotes at character 2"),
        ('{"a": NaN}', "is not valid JSON: NaN is no JSON value"),
        ("9" * 5_000, "holds a number of more than 4,300 digits"),
        ("[" * 201 + "]" * 201, "is nested deeper than 200 levels"),
        ("[" * 100_000 + "]" * 100_000, "is nested deeper than 200 levels"),
        ('{"b": 1, "c": 2, "d": 3, "e": 4}', "has 4 keys, the limit is 3"),
        ('{"a": "%s"}' % ("x" * 400_000), "is longer than 300,000 bytes"),
    ],
)
def test_it_rejects_a_broken_value_and_goes_on(value: str, reason: str) -> None:
    limits = Limits(columns=3, row_bytes=300_000)

    assert reasons(f'[{{"a": 1}},\n{value},\n{{"a": "2"}}]', "a.json", limits) == {2: reason}


def test_it_rejects_undecodable_bytes_and_goes_on() -> None:
    data = b'[{"a": 1},\n{"a": "\xff"},\n{"a": 2}]'

    assert reasons(data, "a.json") == {2: "is not valid UTF-8: byte 0xFF"}


def test_it_keeps_the_text_of_a_refused_value() -> None:
    assert json.loads(rows('[{"a": 1}, {"a": }, 2]', "a.json")[1].payload) == '{"a": }'


def test_it_forgives_a_comma_behind_the_last_value() -> None:
    assert values("[1, 2,\n]", "a.json") == [1, 2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "The file has no rows."),
        ('{"data": []}', "The file has no rows."),
        ('[{"a": 1}, {"a": ', "The JSON document ends in the middle, in row 2."),
        ('[{"a": 1}, {"a": 2}', "The JSON document breaks after row 2: a comma is missing."),
        ('[{"a": 1} {"a": 2}]', "The JSON document breaks after row 1: a comma is missing."),
        ('[{"a": 1},\n{"a": 2}] x', "The JSON document goes on after its end, behind row 2."),
        ('{"data": [{"a": 1}]', "The JSON document breaks after row 1, behind its rows."),
        ('{"data": [{"a": 1}], "x"', "The JSON document breaks outside of its rows."),
        ('{"data": [{"a": 1}],\n"more": [{"b": 1}]}', "The JSON document holds more than one array of rows; save one"),
        ("[" * 100_000, "The JSON document ends in the middle, in row 1."),
        ('{"a": 1,\n"b": {"c": []}}', "The file is one JSON document and holds no array of rows."),
    ],
)
def test_it_says_what_is_wrong_with_a_document(text: str, sentence: str) -> None:
    assert refused(text).startswith(sentence)


def test_it_refuses_a_second_array_that_comes_late() -> None:
    rest = '{"a": 1},' * 100_000 + '{"a": 1}], "b": [{"c": 1}]}'

    assert "more than one array" in refused('{"data": [' + rest)


def test_it_follows_the_format_that_is_given() -> None:
    assert values('{"data": [{"a": 1}]}', "a.txt", format="json") == [{"a": 1}]


def test_it_refuses_a_format_that_does_not_fit() -> None:
    with pytest.raises(Unreadable, match="holds no array of rows"):
        rows("id,q\n1,a\n", "a.csv", format="json")


def test_it_gives_up_on_a_value_whose_end_is_far() -> None:
    with pytest.raises(Unreadable, match="Row 2 of the JSON document does not end within"):
        preflight(Endless(b'[{"a": 1}, {"a": "', b"x", 5_000_000), "a.json", Limits(row_bytes=1_000_000))


def test_it_gives_up_on_a_value_that_never_ends() -> None:
    with pytest.raises(Unreadable, match="ends in the middle, in row 2"):
        preflight(Endless(b'[{"a": 1}, {"a": "', b"x", 30_000_000), "a.json")


def test_it_decodes_short_rows_in_short_pieces_after_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = json_array._scan

    def scan(text: str, at: int) -> Any:
        looked.append(len(text))
        return real(text, at)

    monkeypatch.setattr(json_array, "_scan", scan)
    many = ["nope" if number % 2 else "{}" for number in range(200_000)]
    data = f'[{{"a": "{"x" * 3_000_000}"}},\n{",".join(many)}, {{"a": "{"y" * 1_000_000}"}}, 1]'
    found = list(opened(data, "a.json", Limits(cell_chars=4_000_000)))

    assert [len(row.payload) for row in (found[0], found[-2], found[-1])] == [3_000_009, 1_000_009, 1]
    assert (len(found), sum(bool(row.reason) for row in found)) == (200_003, 100_000)
    # What errors look at is as much as they look at in a file without long rows.
    assert sum(sorted(looked)[: len(many)]) <= 2 * json_array.PIECE * len(many)


def test_it_rejects_a_row_of_more_values_than_memory_has_room_for() -> None:
    found = list(opened(f"[[{'[],' * 600_000}1], 2]", "a.json"))

    assert [row.reason for row in found] == ["holds more than 300,000 values", ""]
