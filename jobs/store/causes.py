"""Why items of a job failed: groups of failures that look alike, counted as they come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from django.db.models import Case, F, When
from django.utils import timezone

from jobs.store.dialect import adapter, execute, postgres
from jobs.store.outcomes import Outcome
from jobs.store.signatures import normalised, signature

SAMPLES: Final = 3  # rows named for each

Group: TypeAlias = list[Outcome]

# Those of which somebody accepted every item come last.
SETTLED: Final = Case(When(accepted__gte=F("count"), then=1), default=0)


def count(job: int, failed: Iterable[Outcome]) -> None:
    """Counts why these items failed, and notes on each of them which cause it is.

    Runs in its caller's transaction; see `jobs.store.leases` for the order of the locks.
    """
    groups: dict[str, Group] = {}
    for outcome in failed:
        mark = signature(outcome.error_kind, outcome.error, outcome.frame)
        groups.setdefault(mark, []).append(outcome)
    for mark, group in sorted(groups.items()):
        cause = _add(job, mark, group)
        for outcome in group:
            outcome.cause = cause


def _add(job: int, mark: str, group: Group) -> int:
    """The id of the cause; where nothing was left of it, it begins anew."""
    first, positions = group[0], [outcome.position for outcome in group]
    return int(
        execute(
            f"""INSERT INTO jobs_cause (job_id, signature, kind, title, sample, top_frame, count, first, last, since)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (job_id, signature) DO UPDATE SET {_more()} RETURNING id""",
            [job, mark, first.error_kind, normalised(first.error), first.error, first.frame, len(group),
             min(positions), max(positions), adapter()(timezone.now())],
        )[0][0]
    )  # fmt: skip


def _more() -> str:
    """What more items change of a cause that is known."""
    low, high = ("LEAST", "GREATEST") if postgres() else ("MIN", "MAX")
    known = {
        "count": "jobs_cause.count + excluded.count",
        "first": f"{low}(jobs_cause.first, excluded.first)",
        "last": f"{high}(jobs_cause.last, excluded.last)",
        "accepted": "jobs_cause.accepted",
        "sample": "jobs_cause.sample",
        "since": "jobs_cause.since",
    }
    return ", ".join(
        f"{name} = CASE WHEN jobs_cause.count > 0 THEN {kept} ELSE excluded.{name} END" for name, kept in known.items()
    )
