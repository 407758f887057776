"""What is asked of the database for items that hold a text, took some time, or come after a mark."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Q, Value

from jobs.items.selection import Mark, Wanted

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FAR: Final = 4_102_444_800.0  # the year 2100, and more than anything else that items are sorted by
TEXTS: Final = ("payload", "result", "fallback", "error", "error_kind", "key")


class Holds(Func):
    """Whether a text holds another, in small letters or capitals.

    LIKE would try each place of a long text anew with a pattern that almost fits; this takes as long as the text.
    """

    output_field = BooleanField()
    template = "INSTR(LOWER(%(expressions)s)) > 0"
    arg_joiner = "), LOWER("

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template, joiner = "STRPOS(UPPER(%(expressions)s)) > 0", "), UPPER("
        return self.as_sql(compiler, connection, template=template, arg_joiner=joiner, **context)


def conditions(wanted: Wanted) -> Q:
    """What must hold of an item, but for its state."""
    found = Q(cause=wanted.cause) if wanted.cause else Q()
    if wanted.text:
        found &= containing(wanted.text)
    if wanted.least is not None:
        found &= Q(seconds__gte=wanted.least)
    if wanted.most is not None:
        found &= Q(seconds__lte=wanted.most)
    return found


def containing(text: str) -> Q:
    """Whether an item's input, result or error holds the text, in small letters or capitals."""
    found = Q()
    for form in sorted(forms(text)):
        for name in TEXTS:
            found |= Q(Holds(F(name), Value(form)))
    return found


def forms(text: str) -> set[str]:
    """How the text may be stored: inside of JSON quotes and some letters are written otherwise.

    SQLite knows no capitals but those of English, so the others are asked for.
    """
    cases = {text} if text.isascii() else {text, text.lower(), text.upper()}
    inside = {json.dumps(case, ensure_ascii=ascii)[1:-1] for case in cases for ascii in (False, True)}
    return cases | inside


def past(mark: Mark, column: str, down: bool) -> Q:
    """What comes after the mark in the order of (rank, position)."""
    value: Any = min(max(mark.value or 0.0, -1.0), FAR)
    if column == "finished":
        value = EPOCH + timedelta(microseconds=round(value * 1e6))
    side = "lt" if down else "gt"
    beyond = Q(**{f"rank__{side}": value}) | Q(**{f"position__{side}": mark.row - 1})
    # The first half says no more than the second, but an index can be entered by it.
    return Q(**{f"rank__{side}e": value}) & beyond


def number(rank: datetime | float) -> float:
    """What a mark holds of the value by which the items are sorted."""
    return (rank - EPOCH) / timedelta(seconds=1) if isinstance(rank, datetime) else float(rank)
