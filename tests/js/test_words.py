"""The server writes numbers and times exactly as the page's scripts do: both are held to the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.templatetags import display, page

CASES: dict[str, list[Any]] = json.loads((Path(__file__).parent / "cases.json").read_text())


def cases(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("given", "expected"), CASES[name])


@cases("number")
def test_it_writes_a_number(given: float | None, expected: str) -> None:
    assert display.number(given) == expected


@cases("compact")
def test_it_writes_a_large_number_in_short(given: int | None, expected: str) -> None:
    assert display.compact(given) == expected


@cases("percent")
def test_it_writes_an_honest_percentage(given: list[int], expected: str) -> None:
    assert display.percent(*given) == expected


@cases("share")
def test_it_writes_a_share(given: list[int], expected: str) -> None:
    assert display.share(*given) == expected


@cases("duration")
def test_it_writes_a_duration(given: float | None, expected: str) -> None:
    assert display.duration(given) == expected


@cases("left")
def test_it_writes_a_coarse_time_left(given: float | None, expected: str) -> None:
    assert display.left(given) == expected


@cases("sample")
def test_it_says_what_the_newest_attempts_are(given: float | None, expected: str) -> None:
    assert display.sample(given) == expected


@cases("row_note")
def test_it_writes_what_stands_beside_a_job(given: dict[str, Any], expected: str) -> None:
    assert display.row_note(given) == expected


@cases("where")
def test_it_writes_where_a_cause_was_seen(given: dict[str, int], expected: str) -> None:
    assert display.where(given) == expected


@cases("accepted_part")
def test_it_writes_how_much_of_a_cause_is_accepted(given: dict[str, int], expected: str) -> None:
    assert display.accepted_part(given) == expected


@cases("parts")
def test_it_draws_the_parts_of_a_bar(given: list[Any], expected: list[list[int]]) -> None:
    assert [[part["x"], part["width"]] for part in display.parts(*given)] == expected


@cases("view")
def test_it_writes_a_frame(given: dict[str, Any], expected: dict[str, Any]) -> None:
    written = page.view(given)
    assert {name: written[name] for name in expected} == expected


def reworded(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame with other sentences in it."""
    reason = {**frame["reason"], "text": frame["reason"]["text"] and "Words."}
    return {**frame, "reason": reason, "why": frame["why"] and "Words."}


@cases("view")
def test_it_decides_nothing_by_a_sentence(given: dict[str, Any], expected: dict[str, Any]) -> None:
    one, other = page.view(given), page.view(reworded(given))
    assert {name for name in one if one[name] != other[name]} <= {"note", "reason", "paused"}


@cases("facts")
def test_it_writes_how_a_job_runs(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert page.facts(given) == expected
