"""Why items of a job failed: groups of failures that look alike, counted as they come and read as pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from django.db.models import Case, Count, F, Sum, When, Window
from django.db.models.functions import Left
from django.utils import timezone

from jobs.models import Job
from jobs.processors import InvalidInput
from jobs.store.dialect import adapter, execute, postgres
from jobs.store.outcomes import Outcome
from jobs.store.signatures import normalised, signature

MOST: Final = 20  # causes in a frame
SAMPLES: Final = 3  # rows named for each
READ: Final = ("id", "kind", "title", "count", "accepted", "since", "top_frame")
TEXT: Final = 160  # characters of a title, and of a message

Group: TypeAlias = list[Outcome]

# Those of which somebody accepted every item come last.
SETTLED: Final = Case(When(accepted__gte=F("count"), then=1), default=0)


# Counting


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


# Reading


def largest(job: Job, failed: int) -> dict[str, Any]:
    """The most frequent causes as frames have them, how many more there are, and how many failures are accepted."""
    found = _read(job, 0, MOST) if failed else []
    every, known = (found[0]["every"], found[0]["known"]) if found else (0, 0)
    return {"causes": _placed(job, found), "more_causes": every - len(found), "accepted": known}


def accepted(job: Job) -> int:
    """How many of its failures somebody knows of and lets be."""
    return sum(job.causes.filter(accepted__gt=0).values_list("accepted", flat=True))


def total(job: Job) -> int:
    return job.causes.filter(count__gt=0).count()


def listed(job: Job, start: int, most: int) -> list[dict[str, Any]]:
    """Causes from number `start` on: the largest first, and those that are accepted as a whole after all others.

    `first`, `last` and `samples` are rows as people count them, `since` is in seconds since the epoch. Texts are cut;
    a `sample` that says no more than the title is left out. With `input` only other inputs can help.
    """
    return _placed(job, _read(job, start, most))


def _read(job: Job, start: int, most: int) -> list[dict[str, Any]]:
    """Each with how many causes there are in `every`, and how many failures of them are accepted in `known`."""
    causes = job.causes.filter(count__gt=0).order_by(SETTLED, "-count", "pk").annotate(
        said=Left("sample", TEXT + 1), every=Window(Count("pk")), known=Window(Sum("accepted"))
    )  # fmt: skip
    return [dict(cause) for cause in causes.values(*READ, "said", "every", "known")[start : start + most]]


def _placed(job: Job, causes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    places = rows(job.pk, [cause["id"] for cause in causes])
    return [_shown(cause, places.get(cause["id"], [])) for cause in causes]


def _shown(cause: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    said, title = _cut(cause["said"]), _cut(cause["title"])
    return {name: cause[name] for name in READ} | {
        "title": title,
        "sample": "" if said == title else said,
        "since": round(cause["since"].timestamp(), 1),
        "input": cause["kind"] == InvalidInput.failure_kind,
        "first": rows[0] if rows else None,
        "last": rows[-1] if rows else None,
        "samples": list(dict.fromkeys(rows))[:SAMPLES],
    }


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def rows(job: int, causes: Sequence[int]) -> dict[int, list[int]]:
    """Cause → its first rows and then its last one, as they are now: what is tried again has left its cause."""
    found: dict[int, list[int]] = {}
    if causes:
        asked = " UNION ALL ".join(
            f"{_rows(job, cause, '', SAMPLES)} UNION ALL {_rows(job, cause, 'DESC', 1)}" for cause in causes
        )
        for cause, position in execute(asked):
            found.setdefault(cause, []).append(position + 1)
    return {cause: sorted(numbers) for cause, numbers in found.items()}


def _rows(job: int, cause: int, order: str, most: int) -> str:
    return f"""SELECT * FROM (SELECT cause_id, position FROM jobs_item WHERE job_id = {int(job)}
                               AND cause_id = {int(cause)} ORDER BY position {order} LIMIT {most}) AS few"""
