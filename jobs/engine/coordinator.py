"""The one thread that decides: what is pulled, when it starts, when it has taken too long, and what comes next."""

from __future__ import annotations

import enum
import heapq
import math
import random
import time
from collections.abc import Generator, Iterator
from copy import copy
from itertools import islice
from time import monotonic
from typing import Any, cast

from jobs.engine import backoff
from jobs.engine.context import Refusal, Ticket
from jobs.engine.failures import too_long
from jobs.engine.starter import Starter
from jobs.engine.threads import Pool, Running
from jobs.engine.types import STOP, THROTTLED, Attempt, Beat, Failure, Policy, Pulse
from jobs.engine.window import LINGER, Window

BEAT = 0.25
# Items for each worker that may wait in memory for their next attempt before no new ones are pulled.
WAITING = 64
# How long to pull before what was pulled is handed over: a slow source must not keep the workers waiting.
SLICE = 0.002
# The clock is looked at after 1, 2, 4, … and so many items: looking takes as long as making a ticket does.
LUMP = 32
# How long to pull before attempts that have finished meanwhile are yielded first.
SOURCE = 0.02


class NotYet(enum.Enum):
    """The type of NOT_YET."""

    NOT_YET = "not yet"


# An item source may yield this when it has nothing to give for the moment; it is asked again after the next result.
NOT_YET = NotYet.NOT_YET


class Coordinator:
    """One run. All of it happens in the thread of the caller, between two of its `next()`."""

    def __init__(self, items: Iterator[Any], pool: Pool, policy: Policy, beat: Beat | None, hold: float) -> None:
        self.items = items
        self.pool = pool
        self.policy = policy
        self.beat = beat
        self.hold = hold
        self.starter = Starter(pool, policy)
        self.accepted = self.starter.accepted
        self.expired = pool.expired
        # Those that wait for their next attempt: when it is due, a serial number to tell equal times apart, the ticket.
        self.retries: list[tuple[float, int, Ticket]] = []
        self.serial = 0
        # How many attempts were made ready so far, and how many of them are not settled.
        self.made = 0
        self.open = 0
        self.exhausted = False
        self.stopping = False
        self.gave_up = 0  # So many threads hung when the run ended for that reason; some may come back before its end.
        self.error: Exception | None = None
        pool.limit = policy.timeout or math.inf
        now = monotonic()
        self.epoch = time.time() - now
        self.window = Window(policy.workers, now)
        self.beat_at = now + BEAT
        self.expiry_at = now

    def attempts(self) -> Generator[Attempt, None, None]:
        """Yield attempts as they finish, until all items are done or the run is stopped."""
        try:
            yield from self._flow()
            if self.beat is not None:
                self.beat(self._pulse())
            if self.error is not None:
                raise self.error
        except KeyboardInterrupt:
            # What is done already is handed out before the batch stops.
            self.stop()
            yield from self._finished()
            raise
        finally:
            self.pool.close()

    def stop(self) -> None:
        """Start nothing more: what runs is still finished and yielded, all else is dropped."""
        self.stopping = self.exhausted = True
        self.open -= self.starter.stop()
        self.retries.clear()

    def _flow(self) -> Iterator[Attempt]:
        done = self.pool.done
        while True:
            while done:
                attempt = self._settle(done.popleft())
                if attempt is None:
                    continue
                yield attempt
                # The caller may hold this generator for long, so the turn is looked for after each attempt.
                if self.open <= self.window.low or monotonic() >= self.beat_at:
                    self._turn()
            self._turn()
            if self.exhausted and not self.open and not self.retries:
                return
            if not done:
                self._listen()

    def _finished(self) -> Iterator[Attempt]:
        while self.pool.done:
            attempt = self._settle(self.pool.done.popleft())
            if attempt is not None:
                yield attempt

    # What comes of an attempt.

    def _settle(self, ticket: Ticket) -> Attempt | None:
        """What a ticket became; None when it was given up before: that was told then, and its thread is back now."""
        if self.expired and ticket in self.expired:
            self.pool.forget(ticket)
            return None
        self.open -= 1
        if ticket.failure is not None:
            return self._failed(ticket, ticket.failure)
        self.accepted.append(ticket.started)
        # The pace goes on looking at when its tickets started.
        attempt: Any = ticket if self.starter.pace is None else copy(ticket)
        attempt.started += self.epoch
        attempt.__class__ = Attempt
        return cast(Attempt, attempt)

    def _failed(self, ticket: Ticket, failure: Failure) -> Attempt:
        retry_at = None
        wait = self._wait_after(ticket, failure)
        if wait is not None:
            retry_at = time.time() + wait
            if wait <= self.hold and not self.stopping:
                # To be asked to wait costs no attempt.
                made = ticket.number - (failure.kind == THROTTLED)
                self.serial += 1
                again = Ticket(ticket.position, ticket.value, made)
                heapq.heappush(self.retries, (monotonic() + wait, self.serial, again))
        if isinstance(failure, Refusal):
            failure = Failure(failure.kind, failure.message, failure.trace)
        started = ticket.started + self.epoch
        return Attempt(ticket.position, ticket.number, started, ticket.seconds, None, failure, ticket.log, retry_at)

    def _wait_after(self, ticket: Ticket, failure: Failure) -> float | None:
        """Seconds until the item is tried again; None when this was its last attempt."""
        policy = self.policy
        if isinstance(failure, Refusal):
            if not failure.alone:
                self.starter.pause(ticket, failure.seconds)
            return failure.seconds
        self.accepted.append(ticket.started)
        if ticket.number < policy.attempts and policy.retries(failure.kind):
            return backoff.delay(ticket.number, policy.backoff, policy.backoff_max, random.random())  # noqa: S311
        return None

    # One turn: everything that depends on the clock.

    def _turn(self) -> None:
        if self.pool.broken is not None:
            # Its item will never come back, and whoever waits for it would wait for ever.
            raise RuntimeError("A thread of the batch has died.") from self.pool.broken
        now = monotonic()
        if now >= self.beat_at:
            self._beat(now)
        if self.policy.timeout is not None and now >= self.expiry_at:
            self._expire(now, self.policy.timeout)
        while self.retries and self.retries[0][0] <= now:
            self.starter.ready.append(heapq.heappop(self.retries)[2])
            self.made += 1
            self.open += 1
        self._start(now)
        if self.exhausted:
            self._wind_down()
        elif self.open <= self.window.low:
            self._pull(now)

    def _beat(self, now: float) -> None:
        self.beat_at = now + BEAT
        self.epoch = time.time() - now
        if self.starter.paused_until:
            self.starter.look(now)
        if self.beat is None:
            return
        answer = self.beat(self._pulse())
        if answer is STOP:
            self.stop()
        elif isinstance(answer, Policy):
            self._adopt(answer)

    def _pulse(self) -> Pulse:
        waiting = len(self.retries) + len(self.starter.ready) + len(self.pool.todo)
        until = self.starter.paused_until
        throttled = until + self.epoch if until > monotonic() else None
        return Pulse(Running(self.pool, self.epoch), waiting, throttled, max(len(self.pool.lost), self.gave_up))

    def _adopt(self, policy: Policy) -> None:
        before, self.policy = self.policy, policy
        self.pool.limit = policy.timeout or math.inf
        self.starter.adopt(policy)
        if policy.workers != before.workers:
            self.pool.resize(policy.workers)
            self.window.resize(policy.workers)
        self.expiry_at = 0.0

    def _expire(self, now: float, limit: float) -> None:
        nearest = now
        for worker, ticket in self.pool.running():
            if now - ticket.started < limit:
                nearest = min(nearest, ticket.started)
                continue
            stand_in = self.pool.expire(worker, ticket)
            if stand_in is not None:
                stand_in.started, stand_in.seconds = ticket.started, now - ticket.started
                stand_in.failure = too_long(limit)
                self.pool.done.append(stand_in)
        self.expiry_at = nearest + limit
        if len(self.pool.lost) >= self.policy.lost_limit and not self.stopping:
            self.gave_up = len(self.pool.lost)
            self.stop()
        self.pool.staff()

    def _start(self, now: float) -> None:
        self.starter.start(now, self.open - len(self.starter.ready))

    def _pull(self, now: float) -> None:
        # What finished while the caller was busy counts too, else each long write would narrow the window.
        self.window.measure(now, self.made - self.open + len(self.pool.done))
        begun, more = now, True
        while more:
            # Where nothing is under way the first item goes to work before the second one is pulled.
            more = self._take(begun + SLICE if self.open else begun)
            begun = monotonic()
            self._start(begun)
            if (self.pool.done and begun - now > SOURCE) or begun >= self.beat_at:
                return

    def _take(self, until: float) -> bool:
        """Fill the window from the source, but no longer than this; False when that is all for now."""
        ready = self.starter.ready
        before = len(ready)
        room, lump = self._room(), 1
        try:
            while room > 0 and self._fetch(min(lump, room)):
                room -= lump
                lump = min(2 * lump, LUMP)
                if monotonic() > until:
                    return room > 0
        except Exception as error:
            self.error = error
            self.exhausted = True
        finally:
            self.made += len(ready) - before
            self.open += len(ready) - before
        return False

    def _fetch(self, count: int) -> bool:
        """Make so many items ready; False when the source gave less."""
        ready = self.starter.ready
        wanted = len(ready) + count
        for item in islice(self.items, count):
            if item is NOT_YET:
                return False
            ready.append(Ticket(*item))
        self.exhausted = len(ready) < wanted
        return not self.exhausted

    def _room(self) -> int:
        room = self.window.size - self.open
        if self.retries:
            # Each open item may come to wait with the others.
            room = min(room, WAITING * self.policy.workers - len(self.retries) - self.open)
        return room

    def _wind_down(self) -> None:
        # At the end no more workers are kept than items are left: they go while the last ones are at work.
        left = self.open + len(self.retries)
        if left <= self.pool.width * 3 // 4:
            self.pool.resize(left)

    def _listen(self) -> None:
        until = self.beat_at
        if self.retries:
            until = min(until, self.retries[0][0])
        if self.policy.timeout is not None:
            until = min(until, self.expiry_at)
        if self.starter.ready:
            until = min(until, self.starter.start_at)
        seconds, quorum = until - monotonic(), self.window.quorum
        if self.starter.pace is None and quorum > 1:
            self.pool.listen(min(seconds, LINGER), quorum)
        else:
            self.pool.listen(seconds, 1)
