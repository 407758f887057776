from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.files.flattening import DEPTH, LONGEST, MOST, WHOLE, Key, Spread, joined, keys_of, known, name


def spread(value: Any, keys: list[Key]) -> dict[str, Any]:
    """What stands in the cells that are not empty."""
    cells = Spread(keys)(value)
    return {name(key): cell for key, cell in zip(keys, cells, strict=True) if cell is not None}


def test_it_makes_a_column_of_each_key_inside() -> None:
    value = {"a": {"b": 1, "c": {"d": "x"}}, "e": [1, 2]}
    keys = list(keys_of(value))
    assert keys == [("a", "b"), ("a", "c", "d"), "e"]
    assert spread(value, keys) == {"result.a.b": 1, "result.a.c.d": "x", "result.e": [1, 2]}


def test_it_keeps_an_empty_object_as_a_value() -> None:
    assert spread({"a": {}}, list(keys_of({"a": {}}))) == {"result.a": {}}


def test_it_tells_a_dot_in_a_key_from_a_key_inside() -> None:
    value = {"a.b": 1, "a": {"b": 2}}
    keys = list(keys_of(value))
    assert keys == ["a.b", ("a", "b")]
    assert Spread(keys)(value) == [1, 2]


def test_it_puts_what_is_too_deep_into_one_cell() -> None:
    value: Any = {"x": 1}
    for _ in range(DEPTH + 2):
        value = {"k": value}
    (key,) = keys_of(value)
    assert len(key) == DEPTH
    assert Spread([key])(value) == [{"k": {"k": {"x": 1}}}]


@pytest.mark.parametrize("key", ["", "k" * (LONGEST + 1)])
def test_it_gives_no_column_to_a_key_that_is_no_name(key: str) -> None:
    value = {key: 1, "a": 2}
    assert keys_of(value) == (WHOLE, "a")
    assert spread(value, [WHOLE, "a"]) == {"result": {key: 1}, "result.a": 2}


def test_it_has_a_bound_for_the_columns() -> None:
    keys: list[Key] = []
    for at in range(3):
        keys = joined(keys, keys_of({f"{at}-{number}": number for number in range(400)}))
    assert len(keys) == MOST + 1
    assert keys[-1] == WHOLE
    assert spread({"0-1": "seen", "2-399": "late"}, keys) == {"result.0-1": "seen", "result": {"2-399": "late"}}


def test_it_notices_that_one_result_has_too_many_keys() -> None:
    assert WHOLE in joined([], keys_of({str(number): number for number in range(100_000)}))


def test_it_adds_new_keys_behind_the_others() -> None:
    assert joined(["b", ("a", "c")], ["a", "b", ("a", "b")]) == ["b", ("a", "c"), "a", ("a", "b")]


def test_it_keeps_its_keys_through_json() -> None:
    keys = ["a", ("a", "b"), WHOLE]
    assert known(json.loads(json.dumps(keys))) == keys


def test_it_leaves_objects_whole_that_were_recorded_before() -> None:
    assert spread({"a": {"b": 1}}, ["a"]) == {"result.a": {"b": 1}}


def test_it_puts_what_has_no_column_into_the_nearest_one_above() -> None:
    assert spread({"a": {"b": 1, "c": 2}}, ["a", ("a", "b")]) == {"result.a": {"c": 2}, "result.a.b": 1}


def test_it_loses_nothing_that_has_no_place() -> None:
    with pytest.raises(ValueError, match="columns"):
        Spread(["a"])({"b": 1})


@pytest.mark.parametrize("value", ["text", 7, [1], False, {}])
def test_it_has_one_cell_for_what_is_no_object(value: Any) -> None:
    assert spread(value, [WHOLE, "a"]) == {"result": value}


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = st.text(alphabet="ab.", max_size=3) | st.sampled_from(["a", "b", "k" * 201])
VALUES = st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


def leaves(value: Any) -> list[str]:
    """Everything in a value that is neither an object nor nothing."""
    if isinstance(value, dict) and value:
        return [leaf for one in value.values() for leaf in leaves(one)]
    return [] if value is None else [json.dumps(value)]


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(0, 5))
def test_it_loses_nothing_at_all(values: list[Any], seen: int) -> None:
    keys: list[Key] = []
    for value in values[:seen]:
        keys = joined(keys, keys_of(value) if isinstance(value, dict) and value else [WHOLE])
    keys = joined(keys, [WHOLE])
    for value in values:
        assert sorted(leaf for cell in Spread(keys)(value) for leaf in leaves(cell)) == sorted(leaves(value))
