"""The causes of a job's failures, and the rows of each, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from django.db.models import Count, Sum, Window
from django.db.models.functions import Left

from jobs.models import Job
from jobs.processors import InvalidInput
from jobs.store.causes import SAMPLES, SETTLED
from jobs.store.dialect import execute

MOST: Final = 20  # causes in a frame
READ: Final = ("id", "kind", "title", "count", "accepted", "since", "top_frame")
TEXT: Final = 160  # characters of a title, and of a message


class CauseLine(TypedDict):
    """A cause of failures. `first`, `last` and `samples` are rows from 1, `since` is in seconds of the epoch."""

    id: int
    kind: str
    title: str
    count: int
    accepted: int
    since: float
    top_frame: str
    sample: str
    input: bool
    first: int | None
    last: int | None
    samples: list[int]


class Causes(TypedDict):
    """The most frequent causes, how many more there are, and how many failures are accepted."""

    causes: list[CauseLine]
    more_causes: int
    accepted: int


def largest(job: Job, failed: int) -> Causes:
    """The most frequent causes as frames have them, how many more there are, and how many failures are accepted."""
    found = _read(job, 0, MOST) if failed else []
    every, known = (found[0]["every"], found[0]["known"]) if found else (0, 0)
    return {"causes": _placed(job, found), "more_causes": every - len(found), "accepted": known}


def accepted(job: Job) -> int:
    """How many of its failures somebody knows of and lets be."""
    return sum(job.causes.filter(accepted__gt=0).values_list("accepted", flat=True))


def total(job: Job) -> int:
    return job.causes.filter(count__gt=0).count()


def listed(job: Job, start: int, most: int) -> list[CauseLine]:
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


def _placed(job: Job, causes: Sequence[dict[str, Any]]) -> list[CauseLine]:
    places = rows(job.pk, [cause["id"] for cause in causes])
    return [_shown(cause, places.get(cause["id"], [])) for cause in causes]


def _shown(cause: Mapping[str, Any], rows: Sequence[int]) -> CauseLine:
    said, title = _cut(cause["said"]), _cut(cause["title"])
    return {
        "id": cause["id"],
        "kind": cause["kind"],
        "title": title,
        "count": cause["count"],
        "accepted": cause["accepted"],
        "since": round(cause["since"].timestamp(), 1),
        "top_frame": cause["top_frame"],
        "sample": "" if said == title else said,
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
