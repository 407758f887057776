"""Which items of a job a person asks for, as it stands in the address of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from jobs.humanize import number
from jobs.models import ItemState

NEWEST: Final = "newest"
ALL: Final = "all"
NOT_SUCCEEDED: Final = "not_succeeded"
# What a person may ask for, and the stored states that such items are in.
STATES: Final[Mapping[str, tuple[ItemState, ...]]] = {
    "": (), ALL: (), NEWEST: (), "succeeded": (ItemState.SUCCEEDED,), "failed": (ItemState.FAILED,),
    "rejected": (ItemState.REJECTED,), "running": (ItemState.PENDING,), "waiting": (ItemState.PENDING,),
    "retrying": (ItemState.PENDING,), "not_attempted": (ItemState.PENDING,),
    NOT_SUCCEEDED: (ItemState.PENDING, ItemState.FAILED, ItemState.REJECTED),
}  # fmt: skip
SORTS: Final = ("row", "seconds", "attempts", "finished")
MORE: Final = 100  # rows that are added to a page at a time, up to
MOST: Final = 500
LONGEST: Final = 200  # characters of a text that is looked for

_MARK: Final = re.compile(r"([0-9]{1,9})(?:~(-?[0-9.e+-]{1,40}))?")
_ROW: Final = re.compile(r"#\s*([0-9][0-9,]{0,11})")


@dataclass(frozen=True, slots=True)
class Mark:
    """The neighbour of a page: the row (counted from 1) beside it, and the value by which the items are sorted."""

    row: int
    value: float | None = None

    def __str__(self) -> str:
        return str(self.row) if self.value is None else f"{self.row}~{self.value!r}"

    @classmethod
    def of(cls, text: str) -> Mark | None:
        """None where there is no such mark."""
        found = _MARK.fullmatch(text)
        if not found or not int(found[1]):
            return None
        value = decimal(found[2] or "")
        return cls(int(found[1]), value) if bool(found[2]) == (value is not None) else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page of items, with `more` rows than a page has by itself.

    `least` and `most` are seconds; a `sort` with a minus begins with the largest.
    """

    state: str = ""
    cause: int = 0
    text: str = ""
    least: float | None = None
    most: float | None = None
    sort: str = "row"
    after: Mark | None = None
    before: Mark | None = None
    more: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """What the address asks for; whatever makes no sense in it is left out."""
        state, cause, sort = query.get("state", ""), query.get("cause", ""), query.get("sort", "row")
        known = sort.removeprefix("-") in SORTS
        return cls(
            state=state if state in STATES else "",
            cause=number(cause) or 0,
            text=query.get("q", "").replace("\0", "").strip()[:LONGEST],
            least=decimal(query.get("from", "")),
            most=decimal(query.get("to", "")),
            sort=sort if known else "row",
            after=Mark.of(query.get("after", "")),
            before=Mark.of(query.get("before", "")),
            more=next((n for n in range(MORE, MOST + 1, MORE) if query.get("more") == str(n)), 0),
        )

    @property
    def row(self) -> int | None:
        """The row that `#812` jumps to."""
        found = _ROW.fullmatch(self.text)
        return int(found[1].replace(",", "")) if found else None

    @property
    def searches(self) -> bool:
        """Whether it asks for what no index knows."""
        return bool(self.text) or self.least is not None or self.most is not None

    @property
    def filtered(self) -> bool:
        return bool(STATES[self.state] or self.cause or self.searches)

    @property
    def plain(self) -> bool:
        """Whether it asks for nothing but the first page of whatever the job shows by itself."""
        return self == Wanted()

    def but(self, **changes: Any) -> Wanted:
        """The same with other values, from its first page unless a mark is among them."""
        return replace(self, **{"after": None, "before": None, "more": 0} | changes)

    def longer(self) -> Wanted | None:
        """The same page with more rows behind its last one; None where it does not get longer."""
        return replace(self, more=self.more + MORE) if self.more < MOST and not self.before else None

    @property
    def query(self) -> str:
        """What `of` reads, as it stands behind the question mark of an address."""
        values = {
            "state": self.state, "cause": self.cause or "", "q": self.text, "from": written(self.least),
            "to": written(self.most), "sort": "" if self.sort == "row" else self.sort, "after": self.after or "",
            "before": self.before or "", "more": self.more or "",
        }  # fmt: skip
        return urlencode({name: value for name, value in values.items() if value != ""})


def decimal(text: str) -> float | None:
    """A number that is finite and no text of a megabyte, else None."""
    try:
        value = float(text[:40])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def written(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"
