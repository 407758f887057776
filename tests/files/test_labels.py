from __future__ import annotations

from typing import Any

import pytest

from jobs.files import Shape, naming

CSV = Shape("csv", "utf-8", ",", True, ("id", "q", "key"))
JSONL = Shape("jsonl", "utf-8", columns=("id", "q"))


@pytest.mark.parametrize(
    ("label", "cells", "expected"),
    [
        ("q", ["1", "tea", ""], "tea"),
        ("q", ["1", "", ""], "1"),
        ("", ["1", "tea", ""], "1"),
        ("gone", ["1", "tea", ""], "1"),
        ("q", ["", "", ""], ""),
    ],
)
def test_it_labels_a_row_of_cells(label: str, cells: list[str], expected: str) -> None:
    assert naming(CSV, label, ())(cells)[0] == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(("id", "key"), "1"), (("key", "id"), "1"), (("gone", "q"), "tea"), (("key",), ""), ((), "")],
)
def test_it_takes_the_first_key_that_says_something(keys: tuple[str, ...], expected: str) -> None:
    assert naming(CSV, "q", keys)(["1", "tea", ""])[1] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": 7, "q": "tea"}, ("tea", "7")),
        ({"q": {"a": [True]}, "id": None}, ('{"a": [true]}', "")),
        ({"other": 1.5}, ("1.5", "")),
        ({}, ("", "")),
        ("tea", ("tea", "")),
        (None, ("", "")),
        ({"id": "a\0", "q": "\ud800"}, ("\ufffd", "a\u2400")),
    ],
)
def test_it_names_a_json_value(value: Any, expected: tuple[str, str]) -> None:
    assert naming(JSONL, "q", ("id",))(value) == expected


@pytest.mark.parametrize(("shape", "value"), [(CSV, ["x" * 500] * 3), (JSONL, {"id": "x" * 500, "q": ["y"] * 500})])
def test_it_bounds_label_and_key(shape: Shape, value: Any) -> None:
    assert [len(text) for text in naming(shape, "q", ("id",))(value)] == [200, 200]
