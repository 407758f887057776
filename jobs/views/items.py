"""The items of a job: a page of them by keyset, and one by itself."""

from __future__ import annotations

import json
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from jobs import files
from jobs.models import Attempt, Item, ItemState, Job
from jobs.views.access import item_for, job_for

PAGE: Final = 50
SHOWN: Final = 300  # characters of a value in the table
FILTERS: Final = {
    "": (), "succeeded": (ItemState.SUCCEEDED,), "failed": (ItemState.FAILED,), "rejected": (ItemState.REJECTED,),
    "waiting": (ItemState.PENDING,),
}  # fmt: skip


def page_of_items(request: HttpRequest, job: Job) -> dict[str, Any]:
    """Rows after (or before) a row, of one state or all, and the way to the next and previous page."""
    state = request.GET.get("state", "")
    state = state if state in FILTERS else ""
    items = Item.objects.filter(job=job)
    if state:
        items = items.filter(state__in=FILTERS[state])
    cause = request.GET.get("cause", "")
    if cause.isdecimal():
        items = items.filter(cause=int(cause))
    before, after = number(request, "before"), number(request, "after")
    if before:
        found = list(items.filter(position__lt=before - 1).order_by("-position")[: PAGE + 1])
        more, found = len(found) > PAGE, found[:PAGE][::-1]
        older, newer = more, True
    else:
        found = list(items.filter(position__gte=after).order_by("position")[: PAGE + 1])
        more, found = len(found) > PAGE, found[:PAGE]
        older, newer = bool(after), more
    return {
        "items": [shown(item, job) for item in found],
        "state": state,
        "cause": cause if cause.isdecimal() else "",
        "previous": found[0].row if found and older else None,
        "next": found[-1].row if found and newer else None,
    }


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


@require_GET
def items(request: HttpRequest, code: str) -> HttpResponse:
    """The table by itself, for the page that is open already."""
    job = job_for(request, code)
    return render(request, "jobs/detail.html#items", {"job": job, **page_of_items(request, job)})


@require_GET
def item(request: HttpRequest, code: str, row: int) -> HttpResponse:
    """One item: input, result or error, every attempt."""
    found = item_for(request, code, row)
    job = found.job
    neighbours = Item.objects.filter(job=job)
    failed = neighbours.failed().filter(position__gt=found.position).order_by("position").first()
    return render(
        request,
        "jobs/item.html",
        {
            "job": job,
            "item": found,
            "shown": shown(found, job),
            "cells": list(zip(job.columns, cells(found, job), strict=False)),
            "mapped": set(job.mapping.values()),
            "result": pretty(found.result),
            "fallback": pretty(found.fallback),
            "attempts": Attempt.objects.filter(job=job, position=found.position)
            .select_related("worker")
            .order_by("pk"),
            "previous": found.row - 1 if found.position else None,
            "next": found.row + 1 if found.row < job.total else None,
            "next_failed": failed.row if failed else None,
        },
    )


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
