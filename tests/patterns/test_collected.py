from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from tests.patterns.collected import Expression, NotFound, calls, everything, of_names, of_script

WRITTEN = """
ONE = re.compile(r"a+", re.IGNORECASE)
MANY = tuple((re.compile(rf"{one}+"), one) for one in "bc")
BOUND = re.compile("d+").fullmatch

def some(text):
    return re.sub(rf"{PART}+", "", text, flags=re.MULTILINE) + re.split("e+", text)
"""


def found(source: str) -> list[Expression]:
    names: dict[str, Any] = {"re": re, "PART": "f"}
    exec(source, names)
    return of_names("x.py", names, list(calls(ast.parse(source))), lambda _: ["match"])


def patterns(source: str) -> set[tuple[str | bytes, str]]:
    return {(one.pattern, one.way) for one in found(source)}


def test_it_finds_what_is_compiled_and_what_is_given_to_a_function() -> None:
    assert patterns(WRITTEN) == {
        ("a+", "match"),
        ("b+", "match"),
        ("c+", "match"),
        ("d+", "fullmatch"),
        ("f+", "sub"),
        ("e+", "split"),
    }


def test_it_knows_the_flags() -> None:
    flags = {one.pattern: one.flags & ~re.UNICODE for one in found(WRITTEN)}

    assert (flags["a+"], flags["f+"], flags["b+"]) == (re.IGNORECASE, re.MULTILINE, 0)


def test_it_does_not_pass_over_what_it_cannot_follow() -> None:
    with pytest.raises(NotFound):
        found("def some(text, pattern):\n    return re.match(pattern, text)")


def test_it_finds_those_of_validators() -> None:
    sites = list(calls(ast.parse('field = CharField(validators=[RegexValidator(r"^(a+)+$")])')))

    assert [one.pattern for one in of_names("x.py", {}, sites, lambda _: [])] == ["^(a+)+$"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('x.replace(/a+/g, "")', ["a+"]),
        ("return /a[/]b/.test(x)", ["a[/]b"]),
        ("const y = a / b / c;", []),
        ("\"/a/\" + '/b/' // /c/\n/* /d/ */", []),
        ("`a ${x.match(/\\/e/i)} b`", ["/e"]),
        ("(a) / b / (c)", []),
    ],
)
def test_it_finds_those_of_a_script(script: str, expected: list[str]) -> None:
    assert [one.pattern for one in of_script("x.js", script)] == expected


def test_it_does_not_pass_over_one_that_a_script_makes() -> None:
    with pytest.raises(NotFound):
        list(of_script("x.js", "new RegExp(text)"))


def test_it_finds_those_of_every_kind_of_file() -> None:
    files = {one.file for one in everything()}

    assert {"addresses", "jobs/files/header.py", "jobs/store/signatures.py", "batchweb/log.py", "format.js"} <= files
