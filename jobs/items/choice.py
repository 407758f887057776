"""Which rows of a job a download has, as it stands behind the question mark of its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobs.humanize import number
from jobs.items import row_ranges
from jobs.items.row_ranges import SHOWN, InvalidSelection
from jobs.models import Cause, ItemState, Job

ALL: Final = "all"
# A word for the states of the rows, as the results have it, and the stored states of such rows.
STATES: Final[Mapping[str, tuple[ItemState, ...]]] = {
    ALL: (),
    "succeeded": (ItemState.SUCCEEDED,),
    "failed": (ItemState.FAILED,),
    "accepted": (ItemState.FAILED,),
    "rejected": (ItemState.REJECTED,),
    "pending": (ItemState.PENDING,),
    "not_attempted": (ItemState.PENDING,),
    "not_succeeded": (ItemState.PENDING, ItemState.FAILED, ItemState.REJECTED),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """All rows unless something is said. `spans` are positions, the second of each excluded, in order and apart."""

    state: str = ALL
    cause: int = 0
    accepted: bool | None = None
    spans: row_ranges.Spans = ()

    @classmethod
    def of(cls, query: Mapping[str, str], job: Job) -> Choice:
        """What the address asks for. Raises InvalidSelection where it makes no sense in this job."""
        state = query.get("state", "") or ALL
        if state not in STATES:
            raise InvalidSelection(f"There is no state “{state[:SHOWN]}”. There are: {', '.join(STATES)}.")
        accepted = _flag("accepted", query.get("accepted", ""))
        if state == "accepted":
            if accepted is False:
                raise InvalidSelection("Accepted rows that are not accepted: there are none.")
            accepted = True
        return cls(
            state, _cause(query.get("cause", ""), job), accepted, row_ranges.parse(query.get("rows", ""), job.total)
        )

    @property
    def word(self) -> str:
        """What such a file is called."""
        if self == Choice():
            return "results"
        state = [self.state] if self.state != ALL else []
        cause = [f"cause-{self.cause}"] if self.cause else []
        rows = ["rows"] if self.spans else []
        return "-".join(["results", *(state + cause + rows or ["failed"])])

    def states(self, ended: bool) -> tuple[int, ...] | None:
        """The stored states, () for all of them; None where no row can be meant, in a job that has ended or not."""
        if self.state in ("pending", "not_attempted") and ended != (self.state == "not_attempted"):
            return None
        found = STATES[self.state]
        narrowed = self.accepted is not None or self.cause
        return tuple(map(int, found)) if found or not narrowed else (int(ItemState.FAILED),)

    def conditions(self) -> str:
        """SQL for what must hold besides; all of it is our own."""
        known = {None: "", True: " AND accepted IS NOT NULL", False: " AND accepted IS NULL"}[self.accepted]
        return (f" AND cause_id = {int(self.cause)}" if self.cause else "") + known


def _flag(name: str, text: str) -> bool | None:
    if text not in ("", "0", "1"):
        raise InvalidSelection(f"“{name}” is 1 or 0, not “{text[:SHOWN]}”.")
    return None if not text else text == "1"


def _cause(text: str, job: Job) -> int:
    key = number(text) or 0
    if text and not (key and Cause.objects.filter(job=job, pk=key).exists()):
        raise InvalidSelection(f"This job has no cause “{text[:SHOWN]}”.")
    return key
