"""The items of a job: the newest ones, a page of those that a person looks for, and one by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from batchweb.concurrency import limited, searches
from jobs.forms import EditForm
from jobs.items import payloads, timeline
from jobs.items import positions as items_positions
from jobs.items.row import WORDS, shown
from jobs.items.search import PAGE as PAGE
from jobs.items.search import SORTABLE, SearchPage, find
from jobs.items.selection import ALL, NEWEST, NOT_SUCCEEDED, SORTS, Wanted, written
from jobs.live import eta
from jobs.live import frame as live_frame
from jobs.models import Cause, Item, Job, JobState
from jobs.models import counts as models_counts
from jobs.store import dialect
from jobs.views.access import item_for, job_for

SAMPLE: Final = 20  # rows of the newest ones
GONE: Final[dict[str, Any]] = {"id": 0, "kind": "", "title": "a cause that is gone", "count": 0}
NAMES: Final = dict(WORDS) | {NOT_SUCCEEDED: "All but succeeded"}
SEGMENTS: Final = (
    (NEWEST, "Newest"), (ALL, "All"), ("failed", "Failed"), ("retrying", "Retrying"),
    (NOT_SUCCEEDED, "All but succeeded"),
)  # fmt: skip
ORDERS: Final = (
    ("row", "Row"), ("-row", "Row, last first"), ("-seconds", "Longest first"), ("seconds", "Shortest first"),
    ("-attempts", "Most attempts first"), ("-finished", "Latest first"), ("finished", "Earliest first"),
)  # fmt: skip


def page_of_items(request: HttpRequest, job: Job, frame: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All that the table shows; `frame` is the job's snapshot where that was taken anyway."""
    wanted = Wanted.of(request.GET.dict())
    newest, cause = shows_newest(wanted, job), cause_of(job, wanted.cause, frame)
    context = newest_items(job, frame) if newest else found_items(job, wanted, cause, frame)
    return context | {
        "wanted": wanted,
        "newest": newest,
        "state": wanted.state if wanted.state in WORDS else "",
        "cause": ": ".join(filter(None, (cause["kind"], cause["title"]))) if cause else "",
        "pick": job.allows("retry") and job.may_act(request.user),
        "query": wanted.query,
        "segments": segments(wanted, newest),
        "states": NAMES,
        "orders": ORDERS,
        "least": written(wanted.least),
        "most": written(wanted.most),
        "sortable": SORTABLE,
    }


def shows_newest(wanted: Wanted, job: Job) -> bool:
    """Whether the table shows the newest attempts, of a job that runs unless something else is asked for."""
    return wanted.state == NEWEST or (wanted.plain and job.state == JobState.RUNNING)


def cause_of(job: Job, key: int, frame: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cause of which the items are wanted, which the job's snapshot may know; nothing where none is asked for."""
    if not key:
        return {}
    for known in frame["causes"] if frame else ():
        if known["id"] == key:
            return dict(known)
    return dict(job.causes.filter(pk=key).values("id", "kind", "title", "count").first() or GONE)


def newest_items(job: Job, frame: Mapping[str, Any] | None) -> dict[str, Any]:
    """The newest attempts, as frames bring them; on a busy job a sample."""
    rows = (live_frame.newest(job) if frame is None else frame["rows"])[:SAMPLE]
    return {"items": [of_frame(row) for row in rows], "rate": eta.rate(job) if frame is None else frame["rate"]}


def of_frame(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a frame as the table lists items."""
    at = row.get("at")
    return {
        "label": "",
        **row,
        "position": row["row"] - 1,
        "state_label": WORDS[row["state"]],
        "fallback": bool(row["error"] and row["result"]),
        "finished": None if at is None else datetime.fromtimestamp(at, UTC),
    }


def found_items(job: Job, wanted: Wanted, cause: Mapping[str, Any], frame: Mapping[str, Any] | None) -> dict[str, Any]:
    """A page of the items that are wanted, and the ways to the pages beside it."""
    counts = models_counts.summary(job) if frame is None else frame["counts"]
    found = find(job, wanted, counts, of_cause=cause.get("count"))
    items = listed(job, found.positions, items_positions.running(job) if counts["running"] else ())
    base = Wanted(state=ALL) if wanted.row is not None else wanted
    longer = wanted.longer() if found.next and not found.searched else None
    return {
        "items": items,
        "found": found,
        "said": said(found, wanted, items, job),
        "whole": whole(wanted, cause, found),
        "previous": base.but(before=found.previous).query if found.previous else "",
        "next": base.but(after=found.next).query if found.next else "",
        "more": longer.query if longer else "",
        "heads": heads(wanted, found),
        # What is found by reading rows, or in another order, is not looked for again at each change.
        "fixed": wanted.searches or wanted.sort.removeprefix("-") != "row",
    }


def listed(job: Job, positions: list[int], running: Collection[int]) -> list[dict[str, Any]]:
    """The items at these positions in their order, as the table shows them."""
    items = {item.position: item for item in Item.objects.filter(job=job, position__in=positions).brief()}
    return [shown(items[position], job, running) for position in positions if position in items]


def said(found: SearchPage, wanted: Wanted, items: list[dict[str, Any]], job: Job) -> str:
    """What the page holds, in a few words."""
    if found.searched:
        return "Searched rows {:,} to {:,}".format(*found.searched)
    if not items:
        return ""
    if wanted.row is not None or not wanted.filtered:
        last = items[-1]["row"]
        return f"Rows {items[0]['row']:,} to {last:,} of {job.total:,}" if found.sorted else ""
    count = f"{len(items):,} shown"
    return f"{count} of {found.leaves:,}" if found.exact else count


def whole(wanted: Wanted, cause: Mapping[str, Any], found: SearchPage) -> dict[str, Any] | None:
    """What the page is a part of, where all of it can be chosen at once: the failures of a cause, or all."""
    more = found.previous or found.next
    if not more or wanted.searches or wanted.state not in ("failed", *([ALL, ""] if wanted.cause else [])):
        return None
    count = cause.get("count", found.leaves)
    words = f"all {count:,} {'of this cause' if cause else 'failed'}"
    return {"query": f"cause={cause['id']}" if cause else "", "count": count, "words": words}


def heads(wanted: Wanted, found: SearchPage) -> dict[str, dict[str, Any]]:
    """For each column by which items are sorted: whether that is possible, its head's address, the way it goes now."""
    column = wanted.sort.removeprefix("-")
    made = {}
    for name in SORTS:
        down = wanted.sort == f"-{name}" if name == column else name == "row"
        possible = name == "row" or found.leaves <= SORTABLE
        way = ("descending" if wanted.sort.startswith("-") else "ascending") if name == column and found.sorted else ""
        made[name] = {"possible": possible, "query": wanted.but(sort=name if down else f"-{name}").query, "way": way}
    return made


def segments(wanted: Wanted, newest: bool) -> list[dict[str, Any]]:
    """The choices above the table; what is looked for stays looked for."""
    state = (NEWEST if newest else wanted.state) or ALL
    made = []
    for name, title in SEGMENTS:
        to = Wanted(state=name) if name == NEWEST else wanted.but(state=name, cause=0)
        made.append({"name": name, "title": title, "query": to.query, "current": state == name and not wanted.cause})
    return made


def searching(request: HttpRequest) -> bool:
    """Whether the page asked for is found by reading many rows."""
    wanted = Wanted.of(request.GET.dict())
    return wanted.searches or wanted.sort.removeprefix("-") != "row"


@require_safe
@limited(searches, when=searching)
def items(request: HttpRequest, code: str) -> HttpResponse:
    """The table by itself, for the page that is open already. Its address is that of the page."""
    job = job_for(request, code)
    context = page_of_items(request, job)
    answer = render(request, "jobs/_items.html", {"job": job, **context})
    answer["HX-Push-Url"] = "?".join(filter(None, (job.get_absolute_url(), context["query"])))
    return answer


@require_safe
def item(request: HttpRequest, code: str, row: int) -> HttpResponse:
    """One item: input, result or error, every attempt."""
    with dialect.one_moment():
        return item_page(request, item_for(request, code, row))


def item_page(request: HttpRequest, found: Item, form: EditForm | None = None) -> HttpResponse:
    """With `form` its input can be edited. Without its page for the drawer, which asks as htmx does."""
    drawer = "HX-Request" in request.headers
    context = {"job": found.job, "item": found, "drawer": drawer, "form": form, **told(found), **around(found)}
    if not found.job.may_act(request.user):
        context["may"] = []
    status = 422 if form and form.errors else 200
    answer = render(request, "jobs/item.html#item" if drawer else "jobs/item.html", context, status=status)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def told(item: Item) -> dict[str, Any]:
    """All there is to know of an item."""
    job = item.job
    row = shown(item, job, items_positions.running(job))
    entries = timeline.timeline(item, job, row["state"])
    return {
        "shown": row,
        "may": verbs(job, row["state"]) - ({"edit"} if item.cut else set()),
        "cells": [] if item.cut else list(zip(job.columns, cells(item, job), strict=False)),
        "mapped": set(job.mapping.values()),
        "result": payloads.pretty(item.result),
        "fallback": payloads.pretty(item.fallback),
        "timeline": entries,
        "trace": next((entry.trace for entry in reversed(entries) if isinstance(entry, timeline.Try)), ""),
        "alike": Cause.objects.filter(job=job, pk=item.cause_id).first() if item.cause_id else None,
    }


def verbs(job: Job, state: str) -> set[str]:
    """What can be done with an item in that state, by the names of the buttons."""
    if not job.allows("retry"):
        return set()
    return {"failed": {"retry", "accept", "edit"}, "rejected": {"edit"}, "not_attempted": {"retry", "edit"}}.get(
        state, set()
    )


def around(item: Item) -> dict[str, int | None]:
    """The rows that the page of an item leads to."""
    failed = Item.objects.filter(job=item.job).failed().values_list("position", flat=True)
    earlier = failed.filter(position__lt=item.position).order_by("-position").first()
    later = failed.filter(position__gt=item.position, position__lt=item.job.total).order_by("position").first()
    return {
        "previous": item.row - 1 if item.position else None,
        "next": item.row + 1 if item.row < item.job.total else None,
        "previous_failed": None if earlier is None else earlier + 1,
        "next_failed": None if later is None else later + 1,
    }


def cells(item: Item, job: Job) -> list[str]:
    try:
        return payloads.cells(item.payload, job.file_shape, job.columns)
    except (ValueError, TypeError):
        return [item.payload]
