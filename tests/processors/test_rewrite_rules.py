from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.processors.rewrite_rules import RULES, conciseness, specificity, stepback


@pytest.mark.parametrize(
    ("query", "short"),
    [
        ("Hello, could you please tell me about the Eiffel Tower? Thanks in advance!", "Eiffel Tower"),
        ("How do I fix a leaking tap?", "How to fix leaking tap"),
        ("what is the best way to learn Python", "how best to learn Python"),
        ("I was wondering if you could explain why the sky is blue", "why sky is blue"),
        ("is there any way to sort a list in order to find the median", "how to sort list to find median"),
        ("cats", "cats"),
    ],
)
def test_it_shortens_politeness_and_fillers(query: str, short: str) -> None:
    assert conciseness(query) == short


def test_it_leaves_quoted_words_alone() -> None:
    assert conciseness('please find "could you please tell me"') == 'find "could you please tell me"'


@pytest.mark.parametrize("query", ["please", "thanks", "the", "?"])
def test_it_keeps_a_query_that_is_all_filler(query: str) -> None:
    assert conciseness(query) == query


def test_it_leaves_other_languages_alone() -> None:
    assert conciseness("Wie backe ich Brot") == "Wie backe ich Brot"


@pytest.mark.parametrize(
    ("query", "qualifiers"),
    [
        ("who painted the Mona Lisa", '"Mona Lisa"'),
        ("population of Paris in 1900", '"1900"'),
        ("speed of Python 3.11", '"Python 3.11"'),
        ("cheese history wikipedia pdf", "site:wikipedia.org filetype:pdf"),
        ("release notes on example.org", "site:example.org"),
        ("how to bake bread", "intitle:bread"),
    ],
)
def test_it_narrows_by_what_the_query_names(query: str, qualifiers: str) -> None:
    assert specificity(query) == f"{conciseness(query)} {qualifiers}"


def test_it_does_not_repeat_a_phrase_that_is_quoted_already() -> None:
    assert specificity('facts on "Mona Lisa" in 1911') == 'facts on "Mona Lisa" in 1911 "1911"'


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("how do I fix a leaking tap", "What general methods are there to fix leaking tap?"),
        ("why do prices of houses rise in 2024", "What usually leads to prices houses rise?"),
        ("speed of sound in iPhone 7", "What are the basic concepts of speed sound?"),
        ("when was the printing press invented", "What is the history of printing press invented?"),
    ],
)
def test_it_steps_back_to_the_general_question(query: str, question: str) -> None:
    assert stepback(query) == question


def test_it_keeps_a_name_that_is_the_whole_topic() -> None:
    assert stepback("Eiffel Tower") == "What are the basic concepts of Eiffel Tower?"


@given(st.text(max_size=200))
def test_it_never_makes_a_query_longer_by_shortening(query: str) -> None:
    assert len(conciseness(query)) <= len(query)


@given(st.text(max_size=200).filter(str.strip), st.sampled_from(sorted(RULES)))
def test_it_always_leaves_a_query(query: str, strategy: str) -> None:
    assert RULES[strategy](query).strip()


@pytest.mark.parametrize("strategy", sorted(RULES))
@pytest.mark.parametrize("unit", ["a", "A ", "a-", "A'", "a+", "1900 ", '"', "could you ", "a.", "x1"])
def test_it_takes_long_queries_in_its_stride(strategy: str, unit: str) -> None:
    assert RULES[strategy](unit * (30_000 // len(unit)))
