"""JSON texts on pages: taken apart where that stays small."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs.files import Shape
from jobs.items import corrections, payloads
from jobs.models import Item
from tests.base import loaded
from tests.files.test_hostile import peak_below
from tests.steps import row

JSONL = Shape("jsonl", "utf-8", columns=("a",))


def nested(depth: int, count: int) -> str:
    return "[" * depth + ",".join("1" for _ in range(count)) + "]" * depth


@pytest.mark.parametrize("value", [{"a": [1, {"ä": None}]}, "text", 5, []])
def test_it_indents_json(value: Any) -> None:
    assert payloads.pretty(json.dumps(value)) == json.dumps(value, indent=2, ensure_ascii=False)


@pytest.mark.parametrize("text", ["", "no JSON", '{"a": '])
def test_it_leaves_other_texts_as_they_are(text: str) -> None:
    assert payloads.pretty(text) == text


@pytest.mark.parametrize("text", [nested(200, 100_000), "[" + "[]," * 2_000_000 + "1]"])
def test_it_indents_nothing_that_grows_by_it(text: str) -> None:
    with peak_below(30):
        assert payloads.pretty(text) == text


def test_it_reads_no_cells_of_millions_of_values() -> None:
    text = '{"a": [' + "[]," * 2_000_000 + "1]}"
    with peak_below(5), pytest.raises(ValueError, match="too many values"):
        payloads.cells(text, JSONL, ["a"])


def test_it_reads_long_texts_of_a_table() -> None:
    cell = "a,b[" * 400_000
    assert payloads.cells(json.dumps([cell]), Shape("csv", "utf-8", ",", True, ("a",)), ["a"]) == [cell]


def test_it_fixes_no_row_of_millions_of_values(alice: User) -> None:
    job = loaded(alice, '{"a": 1}\n', name="rows.jsonl")
    Item.objects.filter(job=job).update(payload='{"a": [' + "[]," * 400_000 + "1]}")
    found = corrections.fix(job, row(job, 0), {"a": "2"})
    assert isinstance(found, corrections.SkippedRow)
    assert "too many values" in found.text
