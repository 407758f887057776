"""No regular expression of the source makes more work than its text is long, whatever people or services send.

The work is counted and not timed: see `tests.patterns.matcher` and `tests.patterns.growth`.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.patterns.collected import Expression, everything
from tests.patterns.growth import worst

# Where the text is short or our own, whatever anybody sends: file, a part of the expression, and why.
EXCEPTIONS: Final = (
    ("format.js", r"\B(?=(\d{3})+$)", "the digits of one number, some twenty of them at most"),
    ("batchweb/static_files.py", r"/\*(?:(?!\*/)", "our own scripts and styles, while they are collected"),
)

EVERYTHING: Final = everything()


MEASURED: Final = [
    one for one in EVERYTHING if not any(one.file == file and part in str(one.pattern) for file, part, _ in EXCEPTIONS)
]


@pytest.mark.parametrize("expression", MEASURED, ids=str)
def test_it_makes_work_as_long_as_the_text(expression: Expression) -> None:
    found = worst(expression.pattern, expression.flags, expression.way)

    assert found is None, f"{expression}: {found.factor:.1f} times the work for 3 times the length of {found.attack}"


def test_it_leaves_out_no_more_than_is_named() -> None:
    assert len(EVERYTHING) - len(MEASURED) == len(EXCEPTIONS)
