"""Three people and the jobs that tests tell stories about."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import TestCase

from jobs import actions, files, processors, tasks
from jobs.forms import guess
from jobs.ingest import importer
from jobs.models import Item, ItemState, Job, Upload
from tests.system import csv_of as csv_of


def make_job(owner: User, text: str | bytes = "", *, start: bool = True, name: str = "rows.csv", **fields: Any) -> Job:
    """A job in `loading`, made the way the page makes one."""
    data = (text or csv_of(5)).encode() if isinstance(text, str) else text
    processor = processors.get(fields.pop("processor", "simulate"))
    shape = files.sniff(data, name, complete=True)
    upload = Upload.keep(ContentFile(data, name=name), name, owner)
    fields = {
        "parameters": processor.clean({"seconds": 0}) if processor.name == "simulate" else {},
        "mapping": guess(processor, shape.columns),
    } | fields
    return actions.submit(
        upload, owner, start=start, processor=processor.name, shape=shape.to_dict(), columns=list(shape.columns),
        **fields,
    )  # fmt: skip


def loaded(owner: User, text: str | bytes = "", **fields: Any) -> Job:
    """A job whose file was read."""
    job = make_job(owner, text, **fields)
    importer.load(job)
    job.refresh_from_db()
    return job


def worked(owner: User, text: str | bytes = "", **fields: Any) -> Job:
    """A job that a worker has finished, in this very process."""
    job = loaded(owner, text, **fields)
    tasks.work()
    job.refresh_from_db()
    return job


def states(job: Job) -> list[str]:
    """The states of the job's items in their order."""
    found = Item.objects.filter(job=job).order_by("position").values_list("state", flat=True)
    return [ItemState(state).name.lower() for state in found]


def lines(chunks: Iterator[str]) -> list[str]:
    return io.StringIO("".join(chunks), newline="").read().split("\r\n")[:-1]


@contextmanager
def undone() -> Iterator[None]:
    """What happens in it has not happened after it."""
    before = transaction.savepoint()
    yield
    transaction.savepoint_rollback(before)


class People(TestCase):
    """Alice owns what happens, Bob is a colleague, Sam is staff."""

    alice: ClassVar[User]
    bob: ClassVar[User]
    sam: ClassVar[User]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.alice = User.objects.create_user("alice", password="alice-likes-tea")
        cls.bob = User.objects.create_user("bob", password="bob-likes-tea")
        cls.sam = User.objects.create_superuser("sam", password="sam-likes-tea")
