"""The report on a file as people read it: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jobs.humanize import counted

LEFT: Final = "Left out, unless you fix the file and choose it again"
SETTINGS: Final = "Left out, and other settings may help"
NOTHING: Final = "Nothing has to be done"
HEADINGS: Final = (SETTINGS, LEFT, NOTHING)


class Kind(NamedTuple):
    """A kind of problem: after "1 row", after "3 rows", where it belongs, and what to do about it."""

    one: str
    many: str
    heading: str
    advice: str


KINDS: Final[Mapping[str, Kind]] = {
    "too few cells": Kind(
        "has too few cells", "have too few cells", LEFT,
        "A delimiter may be missing, or a line break stands in a cell without quotes.",
    ),
    "too many cells": Kind(
        "has too many cells", "have too many cells", LEFT, "A cell that holds the delimiter needs quotes around it."
    ),
    "broken JSON": Kind("is no valid JSON", "are no valid JSON", LEFT, "Each row has to be one whole JSON value."),
    "undecodable bytes": Kind(
        "holds bytes that are no characters", "hold bytes that are no characters", SETTINGS,
        "The file may have another encoding: choose it under “Change settings”.",
    ),
    "too long": Kind("is too long", "are too long", LEFT, "This server takes no more than that in one row."),
    "nested too deep": Kind(
        "is nested too deep", "are nested too deep", LEFT, "This server takes no JSON of so many levels."
    ),
    "refused": Kind(
        "is refused by the processor", "are refused by the processor", SETTINGS,
        "A value is missing or cannot be used. Are the right columns chosen under “Change settings”?",
    ),
    "duplicate key": Kind(
        "has a key that an earlier row has", "have a key that an earlier row has", NOTHING,
        "Each such row runs and has its own place in the result.",
    ),
}  # fmt: skip
UNKNOWN: Final = Kind("is bad", "are bad", LEFT, "")
BLANK: Final = "Blank lines are no rows, and have no place in the result."
KEPT: Final = "In the result they stand as rejected, with the reason."


@dataclass(frozen=True, slots=True)
class Group:
    """Problems of one kind: a title with their number, what to do about them, and the first of them."""

    title: str
    advice: str
    first: Sequence[Mapping[str, Any]] = ()
    more: int = 0
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """What stands on the page: `parts` are headings with their groups, `columns` are names with guessed types."""

    rows: int
    bad: int
    parts: Sequence[tuple[str, Sequence[Group]]]
    columns: Sequence[tuple[str, str]]


def advice(report: Mapping[str, Any], columns: Sequence[str]) -> Advice | None:
    """What to say of a job's stored report; None where there is none."""
    if not report:
        return None
    rows, types = report["rows"], report["types"]
    found = [(KINDS.get(group["kind"], UNKNOWN), group) for group in report["groups"]]
    groups = [(kind.heading, _group(kind, group, rows)) for kind, group in found]
    if report["blank"]:
        groups.append((NOTHING, Group(counted(report["blank"], "blank line"), BLANK, harmless=True)))
    return Advice(rows, report["bad_total"], _parts(groups), list(zip(columns, types, strict=False)))


def _parts(groups: Iterable[tuple[str, Group]]) -> list[tuple[str, list[Group]]]:
    found = list(groups)
    parts = [(heading, [group for under, group in found if under == heading]) for heading in HEADINGS]
    return [(heading, here) for heading, here in parts if here]


def _group(kind: Kind, group: Mapping[str, Any], rows: int) -> Group:
    count, first = group["count"], group["first"]
    title = f"{counted(count)} {kind.one if count == 1 else kind.many}"
    said = [kind.advice] if kind.advice else []
    if "cells" in group["kind"] and 2 * count > rows:
        said = ["With so many of them, the delimiter may be another: see “Change settings”."]
    harmless = kind.heading == NOTHING
    if not harmless:
        said.append(KEPT if count > 1 else KEPT.replace("they stand", "it stands"))
    return Group(title, " ".join(said), first, count - len(first), harmless)
