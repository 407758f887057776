"""A world without processes: real recorders, keeper and verbs over a real database, moved by hand, step by step.

Time passes by moving all dates of the database into the past, so that no step waits for anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.db.models import F
from django.test import override_settings

from jobs import actions, events
from jobs.ingest import importer
from jobs.maintenance.keeper import Keeper
from jobs.models import (
    Activity,
    Attempt,
    Batch,
    Cause,
    Item,
    ItemState,
    Job,
    Run,
    Series,
    Shard,
    Upload,
    Worker,
    scheduling,
)
from jobs.models.job import Refused
from jobs.models.shard import HELD_BACK
from jobs.models.states import WORKABLE
from jobs.store import dialect, leases, outcomes
from jobs.store.requeue import CorrectedItem
from jobs.worker import broker, claim, recorder, recovery
from jobs.worker.recorder import Recorder
from tests.base import csv_of, make_job
from tests.model.hand import Died, Hand

LEASE: Final = 600.0  # seconds of the world; no life takes so long in real ones
SHARD: Final = 4
TASK: Final = 2  # workers of one task
# From those that are referred to by nothing to those that others refer to.
TABLES: Final = (Attempt, Item, Shard, Batch, Activity, Cause, Series)
DATES: Final[dict[Any, tuple[str, ...]]] = {
    Shard: ("expires", "due"), Item: ("due",), Worker: ("seen",), Job: ("created", "load_expires", "deleting")
}  # fmt: skip


SOME: Final = (0, 2, 3)  # positions
VERBS: Final[dict[str, Callable[..., Any]]] = {
    **{name: action.run for name, action in actions.ACTIONS.items()},
    "try": partial(actions.trial, count=3),
    "retry some": partial(actions.retry, positions=SOME),
    "correct": lambda job, by: actions.correct(job, fixed(job), by),
}  # fmt: skip


def fixed(job: Job) -> list[CorrectedItem]:
    """Some items as a person might have fixed them."""
    items = Item.objects.filter(job=job, position__in=SOME)
    return [CorrectedItem(item.position, item.payload, "fixed", item.key) for item in items]


class Broke(OperationalError):
    """The database went away."""


def nobody(shard: int) -> None:
    """Does nothing beside a reader."""


def dies(shard: int) -> None:
    """Ends a reader after its first shard."""
    if shard:
        raise Died


class Holding(NamedTuple):
    """A leased shard as it is stored."""

    job: int
    token: str
    worker: str
    process: int
    told: bool
    claimed: frozenset[int]


class World:
    """Everything there is but the database: the broker's messages, the workers, what viewers were told."""

    def __init__(self, owner: User) -> None:
        self.owner = owner
        self.clock = 1_000.0
        self.messages: list[tuple[str, tuple[Any, ...]]] = []
        self.hands: list[Hand] = []
        self.dead: list[Hand] = []
        self.names = ["w1", "w2"]
        self.told: set[str] = set()
        self.processes = 100
        self.process = 0
        self.woken: list[tuple[str, int]] = []
        self.rows: dict[int, int] = {}
        self.strikes: dict[tuple[int, int], int] = {}
        self.runs: dict[tuple[int, int], int] = {}
        self.keys: dict[tuple[int, int], str] = {}
        self.spent: set[str] = set()
        self.successes: dict[tuple[int, int], str] = {}
        self.forfeit: set[str] = set()
        self.deleted: dict[int, list[Any]] = {}
        self.trouble = ""
        self.patches = ExitStack()
        self.keeper = Keeper(lambda: self.clock)

    # Between the real code and what is not in this world

    def enter(self) -> None:
        clock = SimpleNamespace(monotonic=lambda: self.clock, time=lambda: self.clock)
        transact = Recorder._transact

        def troubled(taken: Recorder, found: Any) -> Any:
            trouble, self.trouble = self.trouble, ""
            if not trouble:
                return transact(taken, found)
            with nullcontext() if "after" in trouble else transaction.atomic():
                save = transact(taken, found)
                if trouble == "for good, after the commit":
                    # It dies with what it had stored, and not with what it knew.
                    taken.leases = [lease for lease in save.leases if lease.token]
                raise Died if "for good" in trouble else Broke("server closed the connection unexpectedly")

        settings = override_settings(JOBS_LEASE_SECONDS=LEASE, JOBS_SHARD_SIZE=SHARD, JOBS_TURN_SECONDS=20.0)
        for each in (
            settings,
            patch.object(recorder, "time", clock),
            patch.object(recorder, "AHEAD", (1, 5000)),
            patch.object(outcomes, "NEWEST", 1),
            patch.object(Recorder, "_transact", troubled),
            patch.object(dialect, "PAUSES", (0.0, 0.0)),
            patch.object(importer, "WIDE", 2),
            patch.object(leases, "os", SimpleNamespace(getpid=lambda: self.process)),
            patch.object(scheduling, "WORKERS_PER_TASK", TASK),
            patch.object(broker, "try_to_send", self.send),
            patch.object(broker, "queued", lambda queue: len(self.messages)),
            patch.object(events, "wake", self.wake),
        ):
            self.patches.enter_context(each)

    def send(self, name: str, args: tuple[Any, ...]) -> None:
        self.messages.append((name, args))

    def wake(self, code: str, seq: int, owner: int, at_once: bool = False) -> None:
        self.woken.append((code, seq))

    def leave(self) -> None:
        for hand in self.hands + self.dead:
            hand.recorder.call.close()
        self.patches.close()
        Job.objects.update(run=None)
        for table in (*TABLES, Run, Job):
            table.objects.all()._raw_delete(table.objects.db)
        Upload.objects.all().discard()
        Worker.objects.all().delete()

    # What happens

    def upload(self, rows: int, **fields: Any) -> Job:
        job = make_job(self.owner, csv_of(rows), **fields)
        self.rows[job.pk] = rows
        return job

    def read(self, job: int, between: Callable[[int], None] = nobody) -> bool:
        """A reader reads the job's file; `between` is called before each shard that it stores."""
        real, shards = importer.add_shard, iter(range(100))

        def add_shard(*args: Any) -> None:
            between(next(shards))
            real(*args)

        found = Job.objects.filter(pk=job, state="loading").select_related("upload", "owner").first()
        moved = False
        with patch.object(importer, "add_shard", add_shard), suppress(Died):
            moved = bool(found and importer.load(found))
        if found and moved:
            found.refresh_from_db()
            if found.state == "queued":
                actions.send_work(found)
        return moved

    def deliver(self, at: int, worker: int = 0) -> Hand | None:
        """One message reaches a worker; the hand that works on it, if there is something to do."""
        if not self.messages:
            self.send(broker.WORK, ())  # one too many hurts nobody
        name, args = self.messages.pop(at % len(self.messages))
        if name == broker.LOAD:
            self.read(*args)
            return None
        self.processes += 1
        self.process = self.processes
        called = self.names[worker % len(self.names)]
        taken = claim.claim(Worker.saw(called), lambda: called in self.told)
        if taken is None:
            return None
        hand = Hand(self, called, self.process, taken)
        self.hands.append(hand)
        hand.begin()
        return hand

    def reclaim(self, hand: Hand) -> None:
        """The hand's process is gone; nobody has noticed yet."""
        self.hands.remove(hand)
        self.dead.append(hand)

    def tell_to_stop(self, name: str) -> None:
        """Another worker takes its place."""
        if name in self.names:
            self.told.add(name)
            self.names[self.names.index(name)] = f"w{len(self.told) + 2}"
            Worker.saw(name, stopping=True)

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds
        for table, names in DATES.items():
            for name in names:
                moved = table.objects.filter(**{f"{name}__lt": HELD_BACK})
                moved.update(**{name: F(name) - timedelta(seconds=seconds)})

    # What is stored

    def busy(self) -> int:
        """How many jobs there are to work on."""
        return Job.objects.filter(state__in=(*WORKABLE, "loading")).count()

    def holdings(self) -> dict[int, Holding]:
        """Shard → who holds it."""
        return {
            shard.pk: Holding(
                shard.job_id, shard.token, shard.worker.name, shard.process, shard.worker.stopping,
                frozenset(json.loads(shard.claimed)),
            )
            for shard in Shard.objects.exclude(token="").select_related("worker")
            if shard.worker
        }  # fmt: skip

    def heard_of(self) -> set[str]:
        """The tokens of hands that have stored something within their lease."""
        fresh = [hand for hand in self.hands + self.dead if hand.saved + LEASE > self.clock + 1]
        return {lease.token for hand in fresh for lease in hand.recorder.leases}

    @contextmanager
    def recovering(self, may: Callable[[Holding], bool]) -> Iterator[None]:
        """Whatever gives leases back in here may give back just those, and strikes what they had claimed."""
        before = self.holdings()
        pending = set(Item.objects.filter(state=ItemState.PENDING).values_list("job", "position"))
        yield
        after = self.holdings()
        for shard, held in before.items():
            if shard in after:
                assert after[shard].token == held.token, "A lease changed hands in one step"
                continue
            assert may(held), f"A lease of {held.worker} was taken back although it lives"
            self.forfeit.add(held.token)
            for at in held.claimed:
                if not held.told and (held.job, at) in pending:
                    self.strikes[held.job, at] = self.strikes.get((held.job, at), 0) + 1

    def keep(self, expire: bool = True) -> None:
        """The keeper does what is due."""
        self.clock += 5
        alive = self.heard_of()
        with self.recovering(lambda held: expire and held.token not in alive):
            self.keeper.turn()

    def come(self, worker: int) -> Hand | None:
        """Somebody looks for work who was not called; the hand that found some."""
        self.send(broker.WORK, ())
        return self.deliver(-1, worker)

    def see_death(self, name: str, process: int | None = None) -> None:
        def dead(held: Holding) -> bool:
            return held.worker == name and process in (None, held.process)

        with self.recovering(dead):
            recovery.reclaim(name, process)
        assert not any(map(dead, self.holdings().values())), "The dead still hold something"

    def press(self, verb: str, job: Job) -> None:
        """A person presses it, which may be refused."""
        retried = self._retried(job, verb)
        held = [held.token for held in self.holdings().values() if held.job == job.pk]
        with suppress(Refused):
            VERBS[verb](job, self.owner)
            if verb == "change":
                self.forget(job.pk)
            if verb == "delete":
                self.forfeit.update(held)
                self.deleted[job.pk] = self.content(job.pk)
            for position in retried:
                self.strikes.pop((job.pk, position), None)
                self.runs[job.pk, position] = job.runs.count()
                self.spent.add(self.keys.pop((job.pk, position), ""))

    def forget(self, job: int) -> None:
        """The job's file is read anew: nothing that was known of its items is true any more."""
        self.spent.update(key for (of, _), key in self.keys.items() if of == job)
        known: tuple[dict[tuple[int, int], Any], ...] = (self.strikes, self.runs, self.keys, self.successes)
        for each in known:
            for key in [key for key in each if key[0] == job]:
                del each[key]

    def _retried(self, job: Job, verb: str) -> list[int]:
        """The positions of the items that begin anew where this verb is not refused."""
        items = Item.objects.filter(job=job).order_by("position")
        failed = items.filter(state=ItemState.FAILED)
        of_some = failed.filter(position__in=SOME)
        if verb == "correct" and job.ended and not job.shards.leased().exists():
            of_some = items.filter(position__in=SOME, state__in=(ItemState.PENDING, ItemState.FAILED))
        taken = {"retry": failed.filter(accepted=None), "retry some": of_some, "correct": of_some}
        return list(taken[verb].values_list("position", flat=True)) if verb in taken else []

    def content(self, job: int) -> list[Any]:
        return list(Item.objects.filter(job=job).order_by("position").values_list("position", "state", "result"))
