"""One process that works: a real recorder, and in place of the engine somebody who decides when items end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from jobs import engine
from jobs.models import Item, ItemState, Job, Shard
from jobs.worker.recorder import OutOfTime, Recorder

if TYPE_CHECKING:
    from tests.model.world import World


LOOK: Final = 1.1  # seconds; by its next beat a hand has looked at what people changed
HELD: Final = 1.0  # seconds until the next attempt, which the engine waits for
STORED: Final = 500.0  # and which is stored as due
_serial = count()


class Died(Exception):
    """A process did, while it stored something."""


class Hand:
    """Does what `tasks.take_turn` and the engine do, one small step at a time."""

    def __init__(self, world: World, worker: str, process: int, recorder: Recorder) -> None:
        self.world = world
        self.worker = worker
        self.process = process
        self.recorder = recorder
        self.job = recorder.job.pk
        self.flying: dict[int, int] = {}  # position → number of the attempt
        self.waiting: dict[int, int] = {}
        self.handed: list[engine.Attempt] = []
        self.width = 0
        self.feed: Iterator[Any] = iter(())
        self.exhausted = True
        self.gone = False

    @property
    def saved(self) -> float:
        """When it stored something last."""
        return self.recorder._saved

    def holds(self, position: int) -> bool:
        """Whether it has a lease of the item that nobody has taken back."""
        leases = [lease for lease in self.recorder.leases if lease.token not in self.world.forfeit]
        return any(lease.start <= position < lease.stop for lease in leases)

    def begin(self) -> None:
        """One run of the engine begins, or the turn ends."""
        if self.gone:
            return
        more = False
        with self.storing():
            more = self.recorder.prepare()
        if more and not self.gone:
            self.feed, self.width, self.exhausted = self.recorder.feed(), self.recorder.policy.workers, False
        else:
            self._end()

    def _end(self) -> None:
        with self.storing():
            self.recorder.close()
        self.go()

    def go(self) -> None:
        self.gone = True
        if self in self.world.hands:
            self.world.hands.remove(self)
        self.recorder.call.close()
        with suppress(Job.DoesNotExist):
            self.recorder.job.finish()

    def pull(self) -> bool:
        """Starts an item; False when there is none, or no worker for it."""
        if self.gone or self.exhausted or len(self.flying) >= self.width:
            return False
        found = None
        with self.storing():
            found = next(self.feed, None)
        if self.gone or found is None:
            self.exhausted = True
            return False
        position, task, tries = found
        self._check_key(position, task.idempotency_key)
        early = Item.objects.filter(job=self.job, position=position, due__gt=timezone.now()).exists()
        assert not (early and self.holds(position)), "An item started before it was due"
        self.start(position, tries + 1)
        return True

    def start(self, position: int, number: int) -> None:
        self.flying[position] = number
        if self.holds(position):
            self._witness(position)

    def _check_key(self, position: int, key: str) -> None:
        """It stays the same until the item itself is retried, and then is another one."""
        known = self.world.keys.setdefault((self.job, position), key)
        assert known == key, "An item was started again under another key"
        assert key not in self.world.spent, "A retried item was started under its old key"

    def _witness(self, position: int) -> None:
        """What must be true of an item that starts."""
        item: Any = Item.objects.get(job=self.job, position=position)
        shard = Shard.objects.get(job=self.job, start__lte=position, stop__gt=position)
        assert item.state == ItemState.PENDING, "An item ran again that was done"
        assert position in json.loads(shard.claimed), "An item started that was not stored as claimed"
        run = Job.objects.get(pk=self.job).run
        assert not run or not run.positions or position in run.positions, "A row was worked on that is not tried"
        others = [hand for hand in self.world.hands if hand is not self and hand.job == self.job]
        assert not any(position in hand.flying and hand.holds(position) for hand in others), (
            "An item runs twice at once"
        )
        company = len(self.flying) + len(self.waiting) > 1
        assert not (company and item.strikes >= 2), "An item with two strikes has company"
        width = sum(hand.holds(at) for hand in (self, *others) for at in hand.flying)
        assert width <= self.recorder.job.workers, f"{width} of {self.recorder.job.workers} workers are at work"

    def finish(self, position: int, how: str) -> None:
        """An attempt ends: `ok`, `fail`, `soon` (the engine tries it again) or `later` (a wait that is stored)."""
        number = self.flying.pop(position)
        wait = {"soon": HELD, "later": STORED}.get(how)
        more = wait is not None and number < self.recorder.policy.attempts
        fields: dict[str, Any] = {"retry_at": time.time() + wait} if wait and more else {}
        if how == "ok":
            fields["value"] = (f'"{next(_serial)}"', ("",))
        else:
            fields["failure"] = engine.Failure("Broken", "It broke.", "")
        attempt = engine.Attempt(position, number, time.time(), 0.01, **fields)
        if how == "soon" and more and not self.exhausted:
            self.waiting[position] = number + 1
        with self.storing():
            self.handed.append(attempt)
            self.recorder.add(attempt)

    def again(self) -> bool:
        """The engine starts an item anew that it kept."""
        if self.gone or not self.waiting or len(self.flying) >= self.width:
            return False
        position, number = self.waiting.popitem()
        self.start(position, number)
        return True

    def store(self) -> None:
        with self.storing():
            self.recorder.flush()

    def beat(self) -> None:
        if self.gone:
            return
        self.world.clock += LOOK
        answer: Any = None
        with self.storing():
            answer = self.recorder.beat(engine.Pulse(dict.fromkeys(self.flying, 0.0), len(self.waiting), None, 0))
        if self.gone:
            return
        found = Job.objects.filter(pk=self.job).first()
        if found is None or not found.workable:
            assert answer is engine.STOP, "A worker goes on with a job that was stopped"
        if answer is engine.STOP:
            self.exhausted = True
            self.waiting.clear()
        elif answer is not None:
            self.width = answer.workers

    def rest(self) -> None:
        """When nothing is left of this run, the next one begins."""
        if self.exhausted and not (self.flying or self.waiting or self.gone):
            self.beat()
            if not (self.flying or self.waiting):
                self.begin()

    def fill(self) -> bool:
        """Starts all that it has a worker for; whether anything is under way then."""
        while self.pull() or self.again():
            pass
        return bool(self.flying)

    def work_out(self, how: str = "ok") -> None:
        """Does all that it can get without beginning another run."""
        while not self.gone and self.fill():
            for position in list(self.flying):
                if not self.gone:
                    self.finish(position, how)
        if not self.gone:
            self.store()

    def work_to_the_end(self, how: str = "ok") -> None:
        for _ in range(60):
            if self.gone:
                return
            self.work_out(how)
            self.beat()
            self.rest()
        raise AssertionError("A turn does not end")

    # What it stores

    @contextmanager
    def storing(self) -> Iterator[None]:
        """In here the recorder may store; what it was handed must be there afterwards, if it still holds the shards."""
        held = [(lease.start, lease.stop, lease.token) for lease in self.recorder.leases]
        stored = {shard.token for shard in Shard.objects.filter(job=self.job).exclude(token="")}
        ours = [range(start, stop) for start, stop, token in held if token in stored]
        known = all(token in stored for _, _, token in held)
        try:
            yield
        except OutOfTime:
            self._check(ours)
            self.go()
            return
        except Job.DoesNotExist:
            self.go()
            return
        except Died:
            self.gone = True
            self.world.reclaim(self)
            return
        if not self.recorder._attempts:
            self._check(ours)
        if known and self.job not in self.world.deleted and self.recorder.leases == []:
            left = Shard.objects.filter(job=self.job, process=self.process).exclude(token="").count()
            assert not left, "A lease is left that nobody knows the token of"

    def _check(self, ours: list[range]) -> None:
        items = {item.position: item for item in Item.objects.filter(job=self.job).select_related("run")}
        for attempt in self.handed:
            item: Any = items.get(attempt.position)
            if any(attempt.position in part for part in ours):
                self._check_stored(attempt, item)
            elif item is not None and attempt.value:
                assert item.result != attempt.value[0], "A worker stored something that had lost its lease"
        self.handed.clear()

    def _check_stored(self, attempt: engine.Attempt, item: Any) -> None:
        if any(later.position == attempt.position and later.number > attempt.number for later in self.handed):
            return
        # Who comes through an attempt, well or not, has killed nobody.
        self.world.strikes.pop((self.job, item.position), None)
        if attempt.value:
            assert (item.state, item.result) == (ItemState.SUCCEEDED, attempt.value[0]), "A success was lost"
            self.world.successes[self.job, item.position] = item.result
        elif attempt.retry_at:
            assert (item.state, item.tries) == (ItemState.PENDING, attempt.number), "A failed attempt was lost"
        else:
            assert item.state == ItemState.FAILED, "A failure was lost"
        assert item.run.number >= self.world.runs.get((self.job, item.position), 0), "What was retried has an old run"
