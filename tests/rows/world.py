"""What surrounds the real code in the model: time, a broker, commits that go wrong, and viewers that are woken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import OperationalError, connection
from django.db.models import F

from jobs import dispatch, events, files, keeper, loading, processors, recorder, sql
from jobs.engine import Failure
from jobs.models import Item, Job, Shard, Upload
from jobs.models import job as job_module
from tests.rows.promises import holds

PROCESSOR: Final = "modelled"
LEASE: Final = 300.0  # seconds; so long that the seconds a step takes make no difference
TABLES: Final = ("attempt", "item", "batch", "activity", "cause", "shard", "run", "job")


def fallback(inputs: Any, failure: Failure) -> str:
    """What fails red has something to fall back on."""
    if failure.kind != "Red":
        raise ValueError("nothing to fall back on")
    return f"instead of {inputs['name']}"


@processors.processor(PROCESSOR, inputs=["name"], fallback=fallback)
def modelled(inputs: Any, context: Any) -> Any:
    """Never called: the model hands in what would have come of it."""
    raise NotImplementedError


class Killed(BaseException):
    """This process is gone."""


class Commits:
    """Lets a commit go wrong: nothing is stored, or all is stored and only the reply gets lost."""

    def __init__(self, commit: Callable[[], None]) -> None:
        self._commit = commit
        self.count = 0
        self.watched = False
        self.fate = ""
        self.wait = 0

    def __call__(self) -> None:
        self.count += 1
        fate = self._fate() if self.watched else ""
        if fate == "refused":
            raise OperationalError("the server closed the connection")
        self._commit()
        if fate == "reply lost":
            raise OperationalError("the server closed the connection")

    def _fate(self) -> str:
        self.wait -= 1
        if self.wait >= 0:
            return ""
        fate, self.fate = self.fate, ""
        return fate


class World:
    """One database with real commits; everything else is the model's own."""

    def __init__(self, patch: pytest.MonkeyPatch, settings: Any) -> None:
        self.owner = User.objects.create(username="alice")
        self.uploads: dict[bytes, Upload] = {}
        self.commits = Commits(connection._commit)
        patch.setattr(connection, "_commit", self.commits)
        patch.setattr(sql, "PAUSES", (0.0, 0.0))
        patch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(recorder, "AHEAD", (2, 4))
        patch.setattr(job_module, "WORKERS_PER_TASK", 2)
        patch.setattr(dispatch, "send", self.send)
        patch.setattr(keeper, "queued", self.queued)
        patch.setattr(events, "wake", self.wake)
        patch.setattr(loading, "add_shard", self._reading(loading.add_shard))
        settings.JOBS_LEASE_SECONDS = LEASE
        settings.JOBS_SHARD_SIZE = 4
        self.begin()

    def begin(self) -> None:
        """An empty world."""
        self.now = 1000.0
        self.messages: list[tuple[str, tuple[Any, ...]]] = []
        self.reachable = True
        self.commits.fate = ""
        self.rows: dict[int, int] = {}
        self.interruption: tuple[int, Callable[[], None]] | None = None
        sql.execute("UPDATE jobs_job SET run_id = NULL")
        for table in TABLES:
            sql.execute(f"DELETE FROM jobs_{table}")

    # The broker

    def send(self, name: str, *args: Any) -> bool:
        holds(not connection.in_atomic_block, "a message is sent before that is stored which it is about")
        if self.reachable:
            self.messages.append((name, args))
        return self.reachable

    def queued(self, queue: str) -> int:
        return sum((name == dispatch.LOAD) == (queue == "load") for name, _ in self.messages)

    def wake(self, code: str, seq: int, owner: int, at_once: bool = False) -> None:
        holds(not connection.in_atomic_block, "viewers are told of what is not stored")
        stored = Job.objects.filter(code=code).values_list("seq", flat=True).first()
        holds(stored is None or seq <= stored, "viewers are told of a number that does not exist")

    # Time

    def pass_time(self, seconds: float) -> None:
        """Everything that was stored with a time is so much longer ago."""
        ago = timedelta(seconds=seconds)
        self.now += seconds
        self.commits.count += 1
        Shard.objects.update(expires=F("expires") - ago, due=F("due") - ago)
        Item.objects.exclude(due=None).update(due=F("due") - ago)
        Job.objects.update(created=F("created") - ago, load_expires=F("load_expires") - ago)

    # The database

    @contextmanager
    def product(self) -> Iterator[None]:
        """Around what the product does: only there a commit may go wrong."""
        self.commits.watched = True
        try:
            yield
        finally:
            self.commits.watched = False

    def _reading(self, add_shard: Callable[..., None]) -> Callable[..., None]:
        """Between two transactions of a reader something else may happen."""

        def add(*args: Any) -> None:
            if self.interruption:
                left, happens = self.interruption
                self.interruption = (left - 1, happens) if left else None
                if not left:
                    happens()
            add_shard(*args)

        return add

    # People

    def submit(self, rows: list[str], **fields: Any) -> Job:
        """A job of these rows, each of them ok, a killer of who tries it, or bad."""
        number = Job.objects.count()
        lines = (json.dumps({"name": f"{row} {number}-{at}"}) if row != "bad" else "{" for at, row in enumerate(rows))
        data = "\n".join([*lines, ""]).encode()
        if data not in self.uploads:
            self.uploads[data] = Upload.keep(ContentFile(data), "rows.jsonl", self.owner)
        shape = files.sniff(data, "rows.jsonl", complete=True, format="jsonl")
        job = dispatch.submit(
            self.uploads[data], self.owner, processor=PROCESSOR, shape=shape.to_dict(), mapping={"name": "name"},
            **fields,
        )  # fmt: skip
        self.rows[job.pk] = len(rows)
        return job


def result_of(name: str) -> str:
    """What becomes of an input, so that a result tells whose it is."""
    return json.dumps({"of": name})
