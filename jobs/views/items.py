"""The items of a job: a page of them by keyset, and one by itself."""

from __future__ import annotations

import json
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs import files
from jobs.models import Attempt, Item, ItemState, Job
from jobs.models.item import ItemQuerySet
from jobs.views.access import item_for, job_for

PAGE: Final = 50
SHOWN: Final = 300  # characters of a value in the table
FILTERS: Final = {
    "": (), "succeeded": (ItemState.SUCCEEDED,), "failed": (ItemState.FAILED,), "rejected": (ItemState.REJECTED,),
    "waiting": (ItemState.PENDING,),
}  # fmt: skip


def page_of_items(request: HttpRequest, job: Job) -> dict[str, Any]:
    """Rows after (or before) a row, of one state or all, and the way to the next and previous page."""
    state, cause = request.GET.get("state", ""), number(request, "cause")
    items = job.read_items()
    if FILTERS.get(state):
        items = items.filter(state__in=FILTERS[state])
    if cause:
        items = items.filter(cause=cause)
    found, older, newer = window(items, number(request, "before"), number(request, "after"))
    return {
        "items": [shown(item, job) for item in found],
        "state": state if state in FILTERS else "",
        "cause": cause or "",
        "previous": found[0].row if found and older else None,
        "next": found[-1].row if found and newer else None,
    }


def window(items: ItemQuerySet, before: int, after: int) -> tuple[list[Item], bool, bool]:
    """A page of the items, and whether there are earlier and later ones."""
    if before:
        found = items.filter(position__lt=before - 1).order_by("-position")[: PAGE + 1].brief()
        return found[:PAGE][::-1], len(found) > PAGE, True
    found = items.filter(position__gte=after).order_by("position")[: PAGE + 1].brief()
    return found[:PAGE], bool(after), len(found) > PAGE


def number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def state_of(item: Item, job: Job) -> tuple[str, str]:
    """The item's state as a word for code and a word for people."""
    if item.state != ItemState.PENDING:
        return ItemState(item.state).name.lower(), ItemState(item.state).label
    if job.ended:
        return "not_attempted", "Not attempted"
    return ("retrying", "Retrying") if item.tries else ("waiting", "Waiting")


def shown(item: Item, job: Job) -> dict[str, Any]:
    """An item as the table lists it."""
    state, word = state_of(item, job)
    return {
        "row": item.row,
        "position": item.position,
        "state": state,
        "state_label": word,
        "label": item.label or input_text(item, job),
        "result": (item.result or item.fallback)[:SHOWN],
        "fallback": bool(item.fallback),
        "error": f"{item.error_kind}: {item.error}"[:SHOWN] if item.error_kind else "",
        "attempts": item.attempts,
        "seconds": item.seconds,
    }


def input_text(item: Item, job: Job) -> str:
    """The row's cells in one line."""
    try:
        return ", ".join(files.cells(item.payload, job.file_shape, job.columns))[:SHOWN]
    except (ValueError, TypeError):
        return item.payload[:SHOWN]


@require_safe
def items(request: HttpRequest, code: str) -> HttpResponse:
    """The table by itself, for the page that is open already."""
    job = job_for(request, code)
    return render(request, "jobs/_items.html", {"job": job, **page_of_items(request, job)})


@require_safe
def item(request: HttpRequest, code: str, row: int) -> HttpResponse:
    """One item: input, result or error, every attempt."""
    found = item_for(request, code, row)
    return render(request, "jobs/item.html", {"job": found.job, "item": found, **told(found), **around(found)})


def told(item: Item) -> dict[str, Any]:
    """All there is to know of an item."""
    job = item.job
    attempts = Attempt.objects.filter(job=job, position=item.position).select_related("worker").order_by("pk")
    return {
        "shown": shown(item, job),
        "cells": list(zip(job.columns, cells(item, job), strict=False)),
        "mapped": set(job.mapping.values()),
        "result": pretty(item.result),
        "fallback": pretty(item.fallback),
        "attempts": list(attempts),
    }


def around(item: Item) -> dict[str, int | None]:
    """The rows that the page of an item leads to."""
    later = Item.objects.filter(job=item.job, position__gt=item.position).failed().order_by("position")
    failed = later.values_list("position", flat=True).first()
    return {
        "previous": item.row - 1 if item.position else None,
        "next": item.row + 1 if item.row < item.job.total else None,
        "next_failed": None if failed is None else failed + 1,
    }


def cells(item: Item, job: Job) -> list[str]:
    try:
        return files.cells(item.payload, job.file_shape, job.columns)
    except (ValueError, TypeError):
        return [item.payload]


def pretty(text: str) -> str:
    """JSON text indented for reading, as it is where it cannot be."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text else ""
    except (ValueError, RecursionError):
        return text
