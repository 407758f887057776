from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.files import Picker, Shape, cells, columns_of
from jobs.files.payload import array_text, members, object_of
from tests.files.corpus import rows

CSV = Shape("csv", "utf-8", ",", True, ("id", "q"))
JSONL = Shape("jsonl", "utf-8", columns=("id", "q"))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [('["1","a"]', ["1", "a"]), ('["1"]', ["1", ""]), ('["1","a","x"]', ["1", "a"])],
)
def test_it_fits_a_tabular_row_to_the_columns(payload: str, expected: list[str]) -> None:
    assert cells(payload, CSV, CSV.columns) == expected


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('"a"', "a"),
        ("null", ""),
        ("true", "true"),
        ("12345678901234567890", "12345678901234567890"),
        ("10.50", "10.50"),
        ("1e2", "1e2"),
        ('{"ä": [1, null]}', '{"ä": [1, null]}'),
        ("[]", "[]"),
        (r'"a\u0000b"', "a\u2400b"),
        (r'"a\ud800b"', "a\ufffdb"),
        (r'["\ud800"]', '["\ufffd"]'),
    ],
)
def test_it_shows_a_json_value_as_a_cell(text: str, cell: str) -> None:
    assert cells(f'{{"id": {text}}}', JSONL, JSONL.columns) == [cell, ""]


@pytest.mark.parametrize(("payload", "expected"), [("3", ["3"]), ('"x"', ["x"]), ("[1]", ["[1]"])])
def test_it_shows_a_bare_value(payload: str, expected: list[str]) -> None:
    assert cells(payload, JSONL, ("value",)) == expected


@pytest.mark.parametrize(
    ("payload", "shape", "expected"),
    [
        ('["1","a"]', CSV, {"id": "1", "q": "a"}),
        ('{"id": 1, "q": ["x"], "gone": 2}', JSONL, {"id": 1, "q": ["x"]}),
        ('{"q": 1.5}', JSONL, {"id": None, "q": 1.5}),
        ("5", JSONL, {"id": None, "q": None}),
        ('["1"]', CSV, {"id": "1", "q": ""}),
        ('["1","a","b"]', CSV, {"id": "1", "q": "a"}),
    ],
)
def test_it_gives_a_processor_its_inputs(payload: str, shape: Shape, expected: dict[str, Any]) -> None:
    mapping = {"first": "id", "second": "q", "third": "gone"}
    wanted = {"first": expected["id"], "second": expected["q"], "third": None}
    assert Picker(mapping, shape.columns, shape)([payload] * 3) == [wanted] * 3


def test_it_gives_a_processor_a_bare_value() -> None:
    assert Picker({"text": "value"}, ("value",), JSONL)(["5", '"a,b"', "null"]) == [
        {"text": 5}, {"text": "a,b"}, {"text": None}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "shape", "expected"),
    [('["1","a"]', CSV, ["id", "q"]), ('{"b": 1, "a": 2}', JSONL, ["b", "a"]), ("[1]", JSONL, ["value"])],
)
def test_it_names_the_columns_of_a_row(payload: str, shape: Shape, expected: list[str]) -> None:
    assert columns_of(payload, shape) == expected


@given(st.lists(st.text() | st.sampled_from(['"', '","', '"],["', "\\", "\x7f", "\u2028", "\ud800", "é"]), max_size=6))
def test_it_writes_cells_as_any_json_writer_does(row: list[str]) -> None:
    assert array_text(row) == json.dumps(row, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ('id,q\n1,"a ""b""\nc"\n2,\\n\n3,é\n', "a.csv"),
        ('{"id": 1, "q": [null, 1.5]}\n"x"\n3\n', "a.jsonl"),
        ("one\ntwo \\ and\n", "a.txt"),
    ],
)
def test_it_knows_what_a_payload_says(data: str, name: str) -> None:
    assert [row.value for row in rows(data, name)] == [json.loads(row.payload) for row in rows(data, name)]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(['"', "\\", "}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=9,
)


@given(
    st.dictionaries(st.text() | st.sampled_from(["\ud800", '":', "{"]), VALUES, max_size=4), st.sampled_from([None, 1])
)
def test_it_takes_an_object_apart_and_puts_it_together(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    found = members(text)
    assert {name: json.loads(part) for name, part in found.items()} == json.loads(text)
    assert list(found) == list(value)
    assert json.loads(object_of(found)) == json.loads(text)
    object_of(found).encode()


def test_it_leaves_values_as_they_are_written() -> None:
    found = members(' { "a" : 1.50 ,"b":1e2, "a":[ 1.0 ]}')
    assert (found, object_of(found)) == ({"a": "[ 1.0 ]", "b": "1e2"}, '{"a":[ 1.0 ],"b":1e2}')
