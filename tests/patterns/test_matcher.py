"""The matcher finds what `re` finds: else its steps would say nothing about `re`."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patterns.collected import Expression, everything
from tests.patterns.growth import attacks
from tests.patterns.matcher import Program, TooMuchWork

PATTERNS = [
    (r"(a|ab)(c|bcd)*", 0),
    (r"(?:a|b*)*", 0),
    (r"x*", 0),
    (r"x*?y", 0),
    (r"(a?){3}b{2,}?", 0),
    (r"(?P<q>['\"]).*?(?P=q)", re.DOTALL),
    (r"^a+$", re.MULTILINE),
    (r"\Aa|b\Z|\bc\b|d\B", 0),
    (r"(?<!a)b(?!c)|(?<=c)a(?=b)", 0),
    (r"(?>a+|b)c|a++b|(?:ab)?+c", 0),
    (r"[^a-c\s]+|[B-C]", re.IGNORECASE),
    (r"\w+é|É\d", re.IGNORECASE),
    (r"\W\w", re.ASCII),
    (r"(?i:a)b.", 0),
]


def agrees(pattern: str | bytes, flags: int, text: str) -> None:
    program = Program(pattern, flags)
    compiled: re.Pattern[Any] = re.compile(pattern, flags)
    subject: Any = text.encode("latin-1", "replace") if isinstance(pattern, bytes) else text
    text = subject.decode("latin-1") if isinstance(subject, bytes) else text
    assert program.run(text, "sub").spans == [found.span() for found in compiled.finditer(subject)]
    for way in ("match", "fullmatch", "search"):
        found = getattr(compiled, way)(subject)
        assert program.run(text, way).spans == ([found.span()] if found else [])


@pytest.mark.parametrize(("pattern", "flags"), PATTERNS)
@given(text=st.text("abcABC dxyé1'\"\n", max_size=12))
def test_it_matches_as_the_library_does(pattern: str, flags: int, text: str) -> None:
    agrees(pattern, flags, text)


@pytest.mark.parametrize("expression", everything(), ids=str)
def test_it_matches_as_the_library_does_with_what_is_in_the_source(expression: Expression) -> None:
    made = list(attacks(Program(expression.pattern, expression.flags)))
    for attack in made[:: 1 + len(made) // 40]:
        agrees(expression.pattern, expression.flags, attack.text(6))


def test_it_counts_every_try() -> None:
    program = Program(r"\s+x")
    steps = [program.run(" " * length, "search").steps for length in (100, 200, 400)]

    # A sum of 1 + 2 + … + length, so that twice the length is four times the work.
    assert 3.9 < steps[1] / steps[0] < 4.1
    assert 3.9 < steps[2] / steps[1] < 4.1


def test_it_gives_up_over_too_much_work() -> None:
    with pytest.raises(TooMuchWork):
        Program(r"(a|a)*b").run("a" * 40, "match")
