"""Items as tables list them, whether they come from rows or from a frame."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from jobs.items import payloads
from jobs.models import Item, ItemState, Job
from jobs.store.outcomes import RecentRow

SHOWN: Final = 300  # characters of a value in the table
WORDS: Final[Mapping[str, str]] = {
    "waiting": "Waiting", "running": "Running", "succeeded": "Succeeded", "failed": "Failed", "rejected": "Rejected",
    "retrying": "Retrying", "not_attempted": "Not attempted",
}  # fmt: skip


def state_of(item: Item, job: Job, running: Collection[int] = ()) -> str:
    """The item's state as a word for code; WORDS has those for people. `running` are the positions that run now."""
    if item.state != ItemState.PENDING:
        return ItemState(item.state).name.lower()
    if item.position in running:
        return "running"
    if job.ended:
        return "not_attempted"
    return "retrying" if item.tries else "waiting"


def shown(item: Item, job: Job, running: Collection[int] = ()) -> dict[str, Any]:
    """An item as the table lists it."""
    state = state_of(item, job, running)
    return {
        "row": item.row,
        "position": item.position,
        "state": state,
        "state_label": WORDS[state],
        "accepted": item.accepted is not None,
        "label": label(item, job),
        "result": (item.result or item.fallback)[:SHOWN],
        "fallback": bool(item.fallback),
        "error": f"{item.error_kind}: {item.error}"[:SHOWN] if item.error_kind else "",
        "attempts": item.attempts,
        "seconds": item.seconds,
        "finished": item.finished,
    }


def label(item: Item, job: Job) -> str:
    """What says which item it is: its label, else the row's cells in one line."""
    if item.label:
        return item.label
    try:
        return ", ".join(payloads.cells(item.payload, job.file_shape, job.columns))[:SHOWN]
    except (ValueError, TypeError):
        return item.payload[:SHOWN]


def add_labels(rows: Iterable[RecentRow], job: Job) -> None:
    """Adds to rows of a frame what says which items they are, where that is not known yet."""
    new = [row for row in rows if "label" not in row]
    if not new:
        return
    items = Item.objects.filter(job=job, position__in={row["row"] - 1 for row in new})
    labels = {item.row: label(item, job) for item in items.named()}
    for row in new:
        row["label"] = labels.get(row["row"], "")
