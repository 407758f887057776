"""What the sockets carry and what the scripts read are the same keys: none is sent in vain, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.items.causes import CauseLine
from jobs.live.shapes import ActivityLine, Frame, ListRow
from jobs.models.reason import Code, ReasonFrame
from jobs.store.outcomes import RecentRow

SCRIPTS = Path(__file__).resolve().parents[2] / "jobs" / "static" / "jobs" / "js"
SOURCE = "\n".join(path.read_text() for path in sorted(SCRIPTS.glob("*.js")))
# A frame of the list has these instead; a page notes the binary half at its own copy of a frame, and takes it apart.
OTHERS = {"rows", "strip", "tabs", "page", "cells", "buffer", "set"}


def names(pattern: str) -> set[str]:
    """The names that stand behind a point, or are taken apart in a parameter of a function."""
    found = set(re.findall(rf"\b(?:{pattern})\.(\w+)", SOURCE))
    for inside in re.findall(r"\(\{([^()]*?)\}(?:, [^()]*)?\)(?: \{| =>)", SOURCE):
        found |= set(re.findall(r"(\w+)(?=\s*(?:[,:=}]|$))", inside))
    for inside in re.findall(rf"\{{([^{{}}]*)\}} = (?:{pattern})\b", SOURCE):
        found |= set(re.findall(r"\w+", inside))
    for inside in re.findall(r'\["([^]]*)"\]\.some\(', SOURCE):
        found |= set(inside.split('", "'))
    return found


@pytest.mark.parametrize(
    ("shape", "read_as"),
    [
        (Frame, "frame|latest|current|before|next|snapshot"),
        (ListRow, "job|row"),
        (CauseLine, "cause"),
        (ActivityLine, "one|entry|activity|line|act"),
        (ReasonFrame, "reason"),
        (RecentRow, "row"),
    ],
)
def test_it_sends_nothing_that_nobody_reads(shape: type, read_as: str) -> None:
    assert set(shape.__annotations__) - names(read_as) == set()


def test_it_sends_all_that_scripts_read_of_a_frame() -> None:
    read = set(re.findall(r"\bframe\.(\w+)", SOURCE))
    assert read - set(Frame.__annotations__) - OTHERS == set()


def test_it_knows_each_code_that_scripts_decide_by() -> None:
    asked = set(re.findall(r'(?:reason\.code|\bcode) === "(\w+)"', SOURCE))
    asked |= set(re.findall(r'"(\w+)"', re.search(r"const WITHOUT = \[(.*)\]", SOURCE)[1]))  # type: ignore[index]
    assert asked
    assert asked <= set(Code)
