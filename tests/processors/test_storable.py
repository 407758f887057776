from __future__ import annotations

import dataclasses
import datetime
import json
import math
import uuid
from collections import namedtuple
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.processors import NotStorable, storable
from jobs.processors.storable import DEPTH, encode, encode_any

Point = namedtuple("Point", "x y")
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
WILD = st.text(st.characters())
NASTY = st.sampled_from(
    [
        math.nan,
        math.inf,
        10**1300,
        10**5000,
        "a\0b",
        "\ud800",
        "\ud83d\ude00",
        "\\u0000",
        "x" * 999,
        Decimal("1.10"),
        b"raw",
    ]
)
FLAT = SCALARS | WILD | NASTY | st.dictionaries(WILD | st.integers() | st.none(), SCALARS | WILD | NASTY, max_size=4)
TREES = st.recursive(
    SCALARS | WILD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WILD, inner, max_size=4), max_leaves=20
)


@dataclasses.dataclass
class Card:
    title: str
    tags: tuple[str, ...]


class Colour(Enum):
    RED = "red"


class Unreadable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def sentence(value: Any, limit: int = 1000) -> str:
    with pytest.raises(NotStorable) as caught:
        encode(value, limit)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"a": 1, "b": [True, None, "é"]}, {"a": 1, "b": [True, None, "é"]}),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Card("a", ("b",)), {"title": "a", "tags": ["b"]}),
        (Colour.RED, "red"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.datetime(2024, 5, 6, 7, tzinfo=datetime.UTC), "2024-05-06T07:00:00+00:00"),
        (datetime.date(2024, 5, 6), "2024-05-06"),
        (PurePosixPath("a/b"), "a/b"),
    ],
)
def test_it_stores_what_has_a_sensible_text(value: Any, stored: Any) -> None:
    assert json.loads(encode(value)[0]) == stored


def test_it_makes_texts_of_plain_keys() -> None:
    assert encode({1: "a", None: "b", 2.5: "c"})[1] == ("1", "null", "2.5")


def test_it_tells_the_keys_of_an_object() -> None:
    assert encode({"b": 1, "a": 2})[1] == ("b", "a")


@pytest.mark.parametrize("value", ["text", 5, None, [{"a": 1}]])
def test_it_tells_no_keys_of_anything_else(value: Any) -> None:
    assert encode(value)[1] == ()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN")])
def test_it_refuses_numbers_that_json_has_not(number: Any) -> None:
    assert "which JSON has no number for" in sentence({"a": [number]})


def test_it_refuses_numbers_without_end() -> None:
    assert "more than a thousand digits" in sentence(10**5000)


def test_it_refuses_a_value_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append({"a": loop})
    assert sentence(loop) == "The result contains itself."


def test_it_stores_a_value_that_is_there_twice() -> None:
    twice = ["a"]
    assert encode([twice, twice])[0] == '[["a"], ["a"]]'


def test_it_stores_the_deepest_that_is_allowed() -> None:
    assert encode(nested(DEPTH))[0].count("[") == DEPTH


@pytest.mark.parametrize("levels", [DEPTH + 1, 100_000])
def test_it_refuses_what_is_deeper(levels: int) -> None:
    assert sentence(nested(levels), 10**6) == "The result is nested deeper than 100 levels."


def test_it_refuses_a_large_text() -> None:
    assert sentence("x" * 999) == "The result is larger than 1,000 bytes."


def test_it_measures_bytes_and_not_characters() -> None:
    assert sentence("é" * 600) == "The result is larger than 1,000 bytes."


def test_it_stores_what_just_fits() -> None:
    assert len(encode("x" * 998, 1000)[0]) == 1000


def test_it_refuses_a_small_graph_that_unfolds_into_a_large_tree() -> None:
    value: list[Any] = ["x"]
    for _ in range(40):
        value = [value, value]
    assert sentence(value) == "The result is larger than 1,000 bytes."


@pytest.mark.parametrize("value", [b"raw", bytearray(b"raw")])
def test_it_refuses_bytes(value: Any) -> None:
    assert sentence(value) == "The result holds bytes; decode them to text first."


@pytest.mark.parametrize("value", [object(), len, (x for x in "a"), Unreadable(), Card])
def test_it_refuses_what_is_no_data(value: Any) -> None:
    assert sentence([value]).startswith("The result holds a ")


def test_it_refuses_a_key_that_is_no_text() -> None:
    assert sentence({(1, 2): "a"}) == "The result has a key that is a tuple; keys are texts."


def test_it_refuses_two_keys_that_read_the_same() -> None:
    assert sentence({1: "a", "1": "b"}) == "The result has two keys that both read “1”."


def test_it_makes_nul_visible() -> None:
    assert json.loads(encode({"a\0": "b\0c"})[0]) == {"a␀": "b␀c"}


def test_it_leaves_a_written_escape_alone() -> None:
    assert json.loads(encode("\\u0000 \\ud800")[0]) == "\\u0000 \\ud800"


def test_it_replaces_half_of_a_surrogate_pair() -> None:
    assert json.loads(encode("a\ud800b\udc00\0")[0]) == "a\ufffdb\ufffd␀"


def test_it_joins_the_halves_of_a_pair() -> None:
    assert json.loads(encode("\ud83d\ude00")[0]) == "😀"


@given(TREES)
def test_it_stores_any_tree_as_text_that_databases_take(tree: Any) -> None:
    try:
        text, _ = encode(tree)
    except NotStorable:
        return
    json.loads(text)
    assert "\0" not in text.encode().decode()
    assert "\\u0000" not in text.replace("\\\\", "")


def said(encoding: Any, value: Any, limit: int) -> Any:
    try:
        return encoding(value, limit)
    except NotStorable as error:
        return str(error)


@given(FLAT | TREES, st.sampled_from([10, 100, 1_000, 1_000_000]))
def test_it_says_the_same_with_and_without_its_short_cut(value: Any, limit: int) -> None:
    assert said(encode, value, limit) == said(encode_any, value, limit)


@pytest.mark.parametrize("value", ["x" * 50_000_000, {"a": "x" * 50_000_000}, ["x"] * 2_000_000])
def test_it_refuses_a_huge_value_before_it_is_written_out(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storable, "_encode", None)
    assert sentence(value, 1_000_000) == "The result is larger than 1,000,000 bytes."
