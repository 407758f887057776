"""A worker of the model: it takes turns as `jobs.tasks` does, with an engine that does what the model says."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

from django.db import OperationalError

from jobs import dispatch, engine, sql
from jobs.engine import Attempt, Failure, Pulse
from jobs.engine.types import THROTTLED
from jobs.models import Worker
from jobs.models.states import WORKABLE
from jobs.recorder import LOOK_EVERY, OutOfTime, Recorder
from tests.rows.promises import FAILED, PENDING, SUCCEEDED, Promises, Stored, holds
from tests.rows.world import World, result_of

# What may become of an attempt. A short wait is kept by the engine, a long one is stored as due.
OK, RED, BLUE, LATER = "ok", "red", "blue", "throttled"
FATES: Final = (OK, RED, BLUE, LATER, f"{RED}, long wait", f"{LATER}, long wait")
LONG: Final = 100.0  # seconds
CIRCLES: Final = 60  # turns and items that one message may lead to, in jobs as small as these
WHERE: Final = """FROM jobs_item i JOIN jobs_shard s ON s.job_id = i.job_id
    AND s.start <= i.position AND i.position < s.stop WHERE i.job_id = %s AND i.position = %s"""


@dataclass(slots=True)
class Started:
    """An item in the hands of the engine."""

    name: str
    number: int
    waiting: bool = False


@dataclass(eq=False)
class Hand:
    """One child process of the worker called `name`, from its start to its end."""

    world: World
    promises: Promises
    name: str
    stopping: bool = False
    dead: bool = False
    recorder: Recorder | None = None
    feed: Iterator[Any] | None = None
    started: dict[int, Started] = field(default_factory=dict)
    given: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    made: Counter[int] = field(default_factory=Counter)
    before: Stored = field(default_factory=Stored)
    mine: set[int] = field(default_factory=set)

    # Turns

    def wake(self) -> None:
        """A message came: takes turns until there is something in flight, or nothing to do."""
        for _ in range(CIRCLES):
            if self.recorder or self.stopping or self.dead:
                return
            me = Worker.saw(self.name)
            with self._working():
                self.recorder = dispatch.claim(me, lambda: self.stopping)
            if self.recorder is None:
                return
            self._prepare()
        holds(False, "a worker goes round in circles")

    def _prepare(self) -> None:
        """The engine is at rest: it runs again, or the turn is over."""
        recorder = self._recorder
        with self._working():
            if recorder.prepare():
                self.feed = recorder.feed()
                return
        if self.recorder is not None:
            self._close()

    def _close(self) -> None:
        recorder = self._recorder
        with self._working():
            recorder.close()
            self._stored()
            self._leave()
            recorder.job.finish()

    def _go_on(self) -> None:
        if self.recorder and not self.feed and not self.started:
            self._prepare()
            self.wake()

    def _leave(self) -> None:
        self.recorder = self.feed = None
        self.started.clear()
        self.given.clear()
        self.made.clear()

    @property
    def _recorder(self) -> Recorder:
        assert self.recorder is not None
        return self.recorder

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Around what the product does for this worker. Where the database fails for good, the task ends with that."""
        self.before = self.promises.stored
        self.mine = {shard for shard, holder in self.promises.holders.items() if holder is self}
        try:
            with self.world.product():
                yield
            self._stored()
        except OperationalError:
            self._leave()
        self.check()

    def check(self) -> None:
        known = {(lease.shard, lease.token) for lease in self.recorder.leases} if self.recorder else None
        self.promises.check(self, known)

    # What the engine does

    def start(self, count: int) -> None:
        """Pulls that many items. One that kills takes this process with it."""
        for _ in range(count):
            if self.feed is None or self.dead:
                break
            item = None
            with self._working():
                item = next(self.feed, None)
            if item is None:
                self.feed = None
            elif self.recorder:
                self._hand(*item)
        self._go_on()

    def _hand(self, position: int, task: Any, tries: int) -> None:
        self._may_have(position, tries)
        name = task.inputs["name"]
        holds(name.endswith(f"-{position}"), "an item is at another's place")
        self.started[position] = Started(name, tries + 1)
        if name.startswith("killer"):
            self.die()

    def _may_have(self, position: int, tries: int) -> None:
        recorder = self._recorder
        due = f"i.due IS NULL OR i.due <= {sql.later(0)}"
        asked = f"SELECT i.state, i.strikes, {due}, s.id, s.claimed {WHERE}"
        for state, strikes, now, shard, claimed in sql.execute(asked, [recorder.job.pk, position]):
            if self.promises.holders.get(shard) is not self:
                return  # It does not know yet that somebody else took over.
            holds(state == PENDING, f"row {position + 1} is done, and was handed out again")
            holds(position in json.loads(claimed), "an item starts that is not claimed")
            holds(now, "an item starts before its time")
            holds(tries < recorder.job.attempts, "an item starts whose attempts are used up")
            holds((strikes >= 2) == recorder.alone, "an item with two strikes runs among others")
            holds(not (recorder.alone and self.started), "an item with two strikes does not run alone")

    def finish(self, index: int, fate: str) -> None:
        """One of the items in flight comes back."""
        position = sorted(self.started)[index % len(self.started)]
        attempt, again = self._attempt(position, self.started.pop(position), fate)
        if again:
            self.started[position] = again
        recorder = self._recorder
        self.world.now += 0.06
        with self._working():
            recorder.add(attempt)
        self._go_on()

    def _attempt(self, position: int, started: Started, fate: str) -> tuple[Attempt, Started | None]:
        """The attempt as the engine yields it, and what it goes on with."""
        now, number, asked = time.time(), started.number, fate.startswith(LATER)
        self.made[position] += not asked
        if fate == OK:
            text = result_of(started.name)
            self.given[position] = SUCCEEDED, number, text
            return Attempt(position, number, now, 0.01, value=(text, ("of",))), None
        kind = THROTTLED if asked else fate.split(",")[0].title()
        long = fate.endswith("long wait")
        again = asked or number < self._recorder.policy.attempts
        retry_at = now + (LONG if long else -1.0) if again else None
        self.given[position] = PENDING if again else FAILED, number - asked, ""
        attempt = Attempt(position, number, now, 0.01, failure=Failure(kind, "It broke.", ""), retry_at=retry_at)
        return attempt, Started(started.name, number + (not asked), True) if again and not long else None

    def _stored(self) -> None:
        """What the holder of a shard has handed over is stored as it was."""
        recorder = self.recorder
        if recorder is None or recorder._attempts:
            return
        given, self.given = self.given, {}
        made, self.made = self.made, Counter()
        job = recorder.job.pk
        for position, came in given.items():
            if (job, position) not in self.before.items or self.before.shard_of(job, position) not in self.mine:
                continue
            attempts = self.before.items[job, position].attempts + made[position]
            asked = f"SELECT i.state, i.tries, i.result, i.attempts {WHERE}"
            for stored in sql.execute(asked, [job, position]):
                holds(stored == (*came, attempts), f"what came of row {position + 1} is not stored as it was")

    def beat(self, seconds: float) -> None:
        """The engine's beat, after so many seconds."""
        recorder = self._recorder
        self.world.now += seconds
        stop, running = False, min(len(self.started), recorder.policy.workers)
        with self._working():
            try:
                stop = recorder.beat(Pulse(running, 0, None, 0)) is engine.STOP
            except OutOfTime:
                self._stored()
                self._leave()
                recorder.job.finish()
        if self.recorder:
            holds(stop or seconds < LOOK_EVERY or self._workable(), "a worker did not notice that the job was stopped")
            self._prolonged()
        if stop:
            self.stop()
        self._go_on()

    def _prolonged(self) -> None:
        for shard in self.mine:
            row = self.promises.stored.shards.get(shard)
            holds(row is None or not (row.token and row.expired), "a living worker lets its lease expire")

    def _workable(self) -> bool:
        row = self.promises.stored.jobs.get(self._recorder.job.pk)
        return row is not None and row.state in WORKABLE

    def stop(self) -> None:
        """The engine starts nothing more; what waits for its next attempt is dropped."""
        self.feed = None
        self.started = {at: started for at, started in self.started.items() if not started.waiting}

    def give_up(self) -> None:
        """The engine ends early: too many of its threads hang."""
        self.feed = None
        self.started = dict(list(self.started.items())[:1])
        self._go_on()

    def work_through(self, fates: list[str]) -> None:
        """A whole turn, and those that follow."""
        wanted = cycle(fates)
        for _ in range(CIRCLES):
            if not self.recorder or self.dead:
                return
            self.start(3)
            for _ in range(len(self.started)):
                if self.started:
                    self.finish(0, next(wanted))
            if self.recorder:
                self.beat(0.3)
        holds(False, "a worker goes round in circles")

    # Ends

    def die(self) -> None:
        """SIGKILL: what it had claimed stays claimed."""
        self.dead = True
        self._leave()

    @property
    def busy(self) -> bool:
        return self.recorder is not None
