from __future__ import annotations

import pytest

from jobs.files import column_types, guess_type


@pytest.mark.parametrize(
    ("cells", "type"),
    [
        (["1", "-2", "+3", "0"], "whole number"),
        (["1,000", "12", "1,234,567"], "whole number"),
        (["1.5", "2"], "number"),
        (["1,5", "2"], "number"),
        (["1e5", "12 %", ".5", "3."], "number"),
        (["01067", "12345"], "text"),
        (["007.5"], "text"),
        (["."], "text"),
        (["2024-01-31", "31.1.2024", "1/31/24"], "date"),
        (["2024-01-31 13:05:00", "2024-01-31T13:05:00Z", "2024-01-31T13:05+02:00"], "date"),
        (["13:05", "1:05 pm"], "date"),
        (["TRUE", "false", "Yes", "no"], "true/false"),
        (["http://a.b/c", "someone@example.com", "www.a.de", "s3://x/y"], "address"),
        (["{}", '[1, {"a": 2}]'], "JSON"),
        (["{x}"], "text"),
        (["[" * 100_000 + "]" * 100_000], "text"),
        (["1", "two"], "text"),
        (["1", "", " ", "2"], "whole number"),
        (["", " "], "text"),
        ([], "text"),
    ],
)
def test_it_guesses_a_type(cells: list[str], type: str) -> None:
    assert guess_type(cells) == type


def test_it_guesses_one_for_each_column() -> None:
    assert column_types([["1", "a", "x@y.de"], ["2", "3"], []]) == ("whole number", "text", "address")


def test_it_has_none_where_there_are_no_rows() -> None:
    assert column_types([]) == ()


@pytest.mark.parametrize("cell", ["1" * 100_000, "1," * 50_000, " " * 100_000 + "x", "a@" * 50_000, "{" * 100_000])
def test_it_is_quick_over_a_long_cell(cell: str) -> None:
    guess_type([cell])
