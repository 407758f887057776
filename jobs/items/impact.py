"""Which items a person means to try again or to accept, and how many these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from jobs.humanize import counted, items
from jobs.items import causes, row_ranges
from jobs.items.choice import Choice
from jobs.items.row_ranges import InvalidSelection
from jobs.models import Cause, ItemState, Job
from jobs.models import counts as models_counts
from jobs.store.dialect import among, execute

MOST: Final = 50_000  # rows that can be named at a time; who means more names their cause


@dataclass(frozen=True, slots=True)
class Aim:
    """Failures of one cause, those at some positions, or all that failed."""

    cause: Cause | None = None
    positions: tuple[int, ...] | None = None

    @classmethod
    def of(cls, sent: QueryDict, job: Job) -> Aim:
        """What `cause` and `rows` (several, or as in 17,20-25) say. Raises InvalidSelection where that is nothing."""
        rows = ",".join(filter(None, sent.getlist("rows")))
        if not rows and ("rows" in sent or "chosen" in sent):
            raise InvalidSelection("No rows are chosen. Mark some first.")
        choice = Choice.of({"cause": sent.get("cause", ""), "rows": rows}, job)
        if row_ranges.size(choice.spans) > MOST:
            raise InvalidSelection(f"Up to {MOST:,} rows can be chosen at a time. Choose their cause instead.")
        cause = job.causes.get(pk=choice.cause) if choice.cause else None
        return cls(cause, row_ranges.positions(choice.spans) if choice.spans else None)

    @property
    def key(self) -> int | None:
        return self.cause.pk if self.cause else None

    @property
    def all(self) -> bool:
        return self.cause is None and self.positions is None

    @property
    def rows(self) -> str:
        """The positions as `of` reads them."""
        return row_ranges.written(self.positions or ())


@dataclass(frozen=True, slots=True)
class Reach:
    """What an aim comes to: items that `failed`, those `accepted` apart, `waiting` (never attempted) and the others."""

    failed: int = 0
    waiting: int = 0
    accepted: int = 0
    rejected: int = 0
    others: int = 0
    untouched: int = 0

    def count(self, aim: Aim, verb: str) -> int:
        """How many items the verb would take; whoever names accepted failures means to try them, too."""
        if verb == "accept":
            return self.failed
        return self.failed + self.waiting + (0 if aim.all else self.accepted)

    def what(self, aim: Aim) -> str:
        """Which items these are, but for the words of a cause."""
        if aim.positions is not None:
            return f"Row {aim.rows}." if len(aim.positions) == 1 else f"{len(aim.positions):,} chosen rows."
        if aim.cause is not None:
            return "All that failed for one cause:"
        parts = [f"{self.failed:,} that failed"] if self.failed else []
        parts += [f"{self.waiting:,} that {were(self.waiting)} never attempted"] if self.waiting else []
        return f"{' and '.join(parts)}.".capitalize() if parts else ""

    def left_out(self, aim: Aim) -> list[str]:
        """Which items stay as they are, in sentences."""
        stay, tried = ("stays as it is", "stay as they are"), ("is accepted", "are accepted")
        told = {
            f"{counted(self.accepted, 'accepted failure')} {of(self.accepted, *stay)}.": self.accepted and aim.all,
            f"{self.accepted:,} of them {of(self.accepted, *tried)}, and tried all the same.": (
                self.accepted and not aim.all
            ),
            f"{items(self.rejected)} {were(self.rejected)} rejected, which only an edit can fix.": self.rejected,
            f"{items(self.others)} {of(self.others, 'has', 'have')} succeeded or "
            f"{of(self.others, 'is', 'are')} worked on already.": self.others,
            f"{items(self.untouched)} that {were(self.untouched)} never attempted {of(self.untouched, *stay)}.": (
                self.untouched
            ),
        }
        return [sentence for sentence, said in told.items() if said]

    def why_not(self, job: Job, aim: Aim, verb: str) -> str:
        """Why nothing can be done now, in a sentence; empty where something can."""
        if (sentence := job.why_not(verb)) or self.count(aim, verb):
            return sentence
        why = "All of these failures are accepted" if self.accepted else "None of these items has failed"
        return f"{why}, so there is nothing to {VERB_WORDS[verb]}."


VERB_WORDS: Final = {"retry": "try again", "accept": "accept"}


def of(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def were(count: int) -> str:
    return of(count, "was", "were")


def reach(job: Job, aim: Aim) -> Reach:
    """How many items of the job an aim reaches now."""
    counts = models_counts.summary(job)
    if aim.positions is not None:
        return _of_rows(job, aim, counts["not_attempted"])
    if aim.cause is not None:
        known = aim.cause.accepted
        return Reach(failed=aim.cause.count - known, accepted=known, untouched=counts["not_attempted"])
    accepted = causes.accepted(job)
    return Reach(failed=counts["failed"] - accepted, waiting=counts["not_attempted"], accepted=accepted)


def _of_rows(job: Job, aim: Aim, not_attempted: int) -> Reach:
    condition, parameter = among("position", aim.positions or ())
    parameters: list[Any] = [job.pk, parameter]
    if aim.cause is not None:
        condition, parameters = f"{condition} AND cause_id = %s", [*parameters, aim.cause.pk]
    found = execute(
        f"SELECT state, COUNT(*), COUNT(accepted) FROM jobs_item WHERE job_id = %s AND {condition} GROUP BY state",
        parameters,
    )
    by_state = {state: (count, accepted) for state, count, accepted in found}
    failed, accepted = by_state.get(ItemState.FAILED, (0, 0))
    rejected = by_state.get(ItemState.REJECTED, (0, 0))[0]
    pending = by_state.get(ItemState.PENDING, (0, 0))[0]
    waiting = pending if job.ended else 0
    return Reach(
        failed=failed - accepted, waiting=waiting, accepted=accepted, rejected=rejected,
        others=by_state.get(ItemState.SUCCEEDED, (0, 0))[0] + pending - waiting,
        untouched=max(0, not_attempted - waiting),
    )  # fmt: skip
