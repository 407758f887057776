"""One job of eight rows in each of the states that fixing meets, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from jobs import actions, tasks
from jobs.models import Item, Job
from tests.base import loaded, worked
from tests.steps import failure, feed, recorder_for, success

# Row 1 succeeds, 2 to 4 fail, the failure of 4 is accepted, 5 to 7 are never attempted, 8 cannot be read.
FATES: Final = ("ok", "fail:Red", "fail:Blue", "fail:Red", "ok", "ok", "ok")
ROWS: Final = "name,simulate\n" + "".join(f"item {at},{fate}\n" for at, fate in enumerate(FATES)) + "too,many,cells\n"

BEFORE: Final = ("loading", "ready", "invalid")  # nothing was started yet
OPEN: Final = ("queued", "running", "paused")
# Those that a worker brings about come first: it would work on the others, too.
STATES: Final = ("finished", "flawless", *BEFORE, *OPEN, "cancelling", "cancelled")


def job_in(state: str, owner: User, text: str = ROWS, **fields: Any) -> Job:
    """The job in this state; finished, rows 5 to 7 have succeeded, and flawless, all have."""
    if state == "flawless":
        return worked(owner, "name,simulate\n" + "x,ok\n" * 8, **fields)
    if state == "finished":
        job = worked(owner, text, **fields)
        actions.accept(job, owner, positions=[3])
        return fresh(job)
    job = loaded(owner, text, **fields)
    recorder = recorder_for(job)
    feed(recorder, success(0), failure(1, "Red"), failure(2, "Blue"), failure(3, "Red"))
    if state != "cancelling":
        recorder.close()
    actions.accept(job, owner, positions=[3])
    if state.startswith("cancel"):
        actions.cancel(job, owner)
    else:
        Job.objects.filter(pk=job.pk).update(state=state)
    return fresh(job)


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def rows(job: Job) -> dict[int, dict[str, Any]]:
    """All that is stored of each item, by its row; not until when others hold it back."""
    found = Item.objects.filter(job=job).values()
    return {item["position"] + 1: {**item, "due": None} for item in found}


def differing(before: Mapping[int, Any], after: Mapping[int, Any]) -> set[int]:
    assert before.keys() == after.keys()
    return {row for row, stored in before.items() if after[row] != stored}


def tried(job: Job) -> set[int]:
    """The rows that workers try now."""
    before = rows(job)
    tasks.work()
    return {row for row, stored in rows(job).items() if stored["attempts"] > before[row]["attempts"]}


def said(answer: Any) -> str:
    """What the page that an order leads to will say; the newest of it."""
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


def heading(answer: Any, level: int = 1) -> str:
    found = re.search(rf"<h{level}[^>]*>(.*?)</h{level}>", answer.content.decode(), re.DOTALL)
    assert found is not None
    return found[1]


def operator() -> User:
    """Staff who may act, and is no superuser."""
    vera = User.objects.create_user("vera", is_staff=True)
    vera.user_permissions.add(Permission.objects.get(codename="change_job"))
    return vera


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client
