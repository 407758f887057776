from __future__ import annotations

import re

import pytest

from tests.patterns.growth import worst

X = re.VERBOSE | re.IGNORECASE | re.DOTALL

# What was once in this source or is in every book about it, and how it is used.
BAD = [
    (r"\s*([-+]?[$€£]?\s?\d[\d\s.,:/%eE+-]*|\w+://\S*)\s*", X, "fullmatch"),
    (r"(\w+://\S*|www\.\S+|\S+@\S+\.\w+)", re.IGNORECASE, "fullmatch"),
    (r"\w[\w+.-]*://\S+|www\.\S+\.\S+|mailto:\S+", re.IGNORECASE, "fullmatch"),
    (r"<think>.*?</think>", re.DOTALL, "sub"),
    (r"[ \t]*[\r\n][ \t\r\n]*", 0, "sub"),
    (r"(\"[^\"]+\"|“[^”]+”)", 0, "split"),
    (r"\s+([,.;:!?])", 0, "sub"),
    (r"[^\W_]*\d\w*", 0, "sub"),
    (r"://[^/@]*:([^/@]+)@", 0, "search"),
    (r"^r/(?P<a>.+)/(?P<b>.+)/\Z", 0, "search"),
    (r"\B(?=(\d{3})+$)", 0, "sub"),
    (r"^(a+)+$", 0, "match"),
    (r"(a|a)*b", 0, "search"),
    (r"\d+\s*\d+x", 0, "match"),
    (r".*,.*;", 0, "search"),
    (r"(.*)=\1!", 0, "match"),
    (rb"x+y", 0, "search"),
    (r"(?:x|y)+z", 0, "search"),
    (r"(?=.*a)b", re.DOTALL, "sub"),
    (r"(?s)begin.*?end", 0, "findall"),
]

GOOD = [
    (r"(a|ab)*c", 0, "match"),
    (r"\s+x", 0, "match"),
    (r"(?<!\s)\s++x", 0, "sub"),
    (r"\w+", 0, "sub"),
    (r"a{0,40}b", 0, "sub"),
    (r"(a+b)+", 0, "fullmatch"),
    (r"\"(?:[^\"\\]|\\.)*+\"", 0, "match"),
    (r"(?:^|,)[^,]*+", 0, "sub"),
    (r"^\d+(?:\.\d+)*$", 0, "match"),
    (rb"[\x80-\xff]", 0, "search"),
]


@pytest.mark.parametrize(("pattern", "flags", "way"), BAD)
def test_it_finds_work_that_grows_faster_than_the_text(pattern: str | bytes, flags: int, way: str) -> None:
    assert worst(pattern, flags, way) is not None


@pytest.mark.parametrize(("pattern", "flags", "way"), GOOD)
def test_it_finds_nothing_where_work_is_as_long_as_the_text(pattern: str | bytes, flags: int, way: str) -> None:
    assert worst(pattern, flags, way) is None


def test_it_says_which_text_makes_the_work() -> None:
    found = worst(r"\s+x", 0, "search")

    assert found is not None
    assert (found.attack.pump, found.factor > 8) == (" ", True)
