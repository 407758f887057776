"""The one thread that decides: what is pulled, when it starts, when it has taken too long, and what comes next."""

from __future__ import annotations

import enum
import heapq
import random
import time
from collections import deque
from collections.abc import Generator, Iterator
from time import monotonic
from typing import Any

from jobs.engine import backoff
from jobs.engine.context import Ticket, success
from jobs.engine.pace import COLD, Pace
from jobs.engine.threads import Pool
from jobs.engine.throttle import Throttle
from jobs.engine.types import STOP, THROTTLED, TIMEOUT, Attempt, Beat, Failure, Policy, Pulse
from jobs.engine.window import Window

BEAT = 0.25
# Items for each worker that may wait in memory for their next attempt before no new ones are pulled.
WAITING = 64
# How long to pull before what was pulled is handed over: a slow source must not keep the workers waiting.
SLICE = 0.002
# How long to pull before attempts that have finished meanwhile are yielded first.
SOURCE = 0.02
# How many starts that a service accepted are remembered, to learn its pace from when it refuses one.
REMEMBERED = 4096


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
        self.pace = Pace(policy.rate, COLD) if policy.rate else None
        self.throttle = Throttle()
        self.accepted: deque[float] = deque(maxlen=REMEMBERED)
        self.ready: deque[Ticket] = deque()
        self.retries: list[tuple[float, int, Ticket]] = []
        # How many attempts were ever made ready, handed to the pool, and settled. Their differences tell what is open.
        self.opened = 0
        self.handed = 0
        self.settled = 0
        self.exhausted = False
        self.stopping = False
        self.gave_up = 0  # So many threads hung when the run ended for that reason; some may come back before its end.
        self.error: Exception | None = None
        self.serial = 0
        now = monotonic()
        self.epoch = time.time() - now
        self.beat_at = now + BEAT
        self.window = Window(policy.workers, now)
        self.expiry_at = now
        self.start_at = now

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
        taken = self.pool.recall()
        self.handed -= len(taken)
        self.opened -= len(taken) + len(self.ready)
        self.ready.clear()
        self.retries.clear()

    def _flow(self) -> Iterator[Attempt]:
        pool = self.pool
        while True:
            for attempt in self._finished():
                yield attempt
                # The caller may hold this generator for long, so the turn is looked for after each attempt.
                if self.opened - self.settled <= self.window.low or monotonic() >= self.beat_at:
                    self._turn()
            self._turn()
            if self.exhausted and self.opened == self.settled and not self.retries:
                return
            if not pool.done:
                pool.bell.sleep(self._patience(), pool.done)

    def _finished(self) -> Iterator[Attempt]:
        done, accept = self.pool.done, self.accepted.append
        while done:
            ticket = done.popleft()
            if ticket.expired:
                # It was reported at its deadline; its thread is back now.
                self.pool.lost.pop(ticket, None)
                continue
            self.settled += 1
            limit = self.policy.timeout
            if limit is not None and ticket.seconds > limit and ticket.failure is None:
                ticket.failure = _too_long(limit)
            if ticket.failure is None:
                accept(ticket.started)
                yield success(ticket, self.epoch)
            else:
                yield self._failed(ticket, ticket.failure)

    def _failed(self, ticket: Ticket, failure: Failure) -> Attempt:
        policy = self.policy
        wait: float | None = None
        number = ticket.number
        if ticket.later is not None and failure.kind == THROTTLED:
            wait = ticket.later
            if not ticket.alone:
                self._throttle(ticket, wait)
        else:
            self.accepted.append(ticket.started)
        if wait is None and number < policy.attempts and policy.retries(failure.kind):
            wait = backoff.delay(number, policy.backoff, policy.backoff_max, random.random())  # noqa: S311
            number += 1
        retry_at = None
        if wait is not None:
            retry_at = time.time() + wait
            if wait <= self.hold and not self.stopping:
                self.serial += 1
                again = Ticket(ticket.position, ticket.payload, number)
                heapq.heappush(self.retries, (monotonic() + wait, self.serial, again))
        started = ticket.started + self.epoch
        return Attempt(ticket.position, ticket.number, started, ticket.seconds, None, failure, ticket.log, retry_at)

    def _throttle(self, ticket: Ticket, wait: float) -> None:
        others = [*self.pool.done, *(running for _, running in self.pool.running())]
        accepted = [*self.accepted, *(other.started for other in others if other.later is None)]
        ended = ticket.started + ticket.seconds
        self.throttle.refuse(ticket.started, ended, wait, accepted, self.policy.backoff)
        self._recall()
        self._set_pace(ended)

    def _set_pace(self, now: float) -> None:
        rate = min(filter(None, (self.policy.rate, self.throttle.rate(now))), default=None)
        if rate is None:
            self.pace = None
        elif self.pace is None:
            self.pace = Pace(rate)
        else:
            self.pace.tune(rate)

    def _recall(self) -> None:
        taken = self.pool.recall()
        self.handed -= len(taken)
        self.ready.extendleft(reversed(taken))

    # One turn: everything that depends on the clock.

    def _turn(self) -> None:
        now = monotonic()
        if now >= self.beat_at:
            self._beat(now)
        if self.policy.timeout is not None and now >= self.expiry_at:
            self._expire(now, self.policy.timeout)
        while self.retries and self.retries[0][0] <= now:
            self.ready.append(heapq.heappop(self.retries)[2])
            self.opened += 1
        self._hand_over(now)
        if self.opened - self.settled <= self.window.low:
            self._pull(now)

    def _beat(self, now: float) -> None:
        self.beat_at = now + BEAT
        self.epoch = time.time() - now
        if self.throttle.until:
            self._set_pace(now)
        if self.beat is None:
            return
        answer = self.beat(self._pulse())
        if answer is STOP:
            self.stop()
        elif isinstance(answer, Policy):
            self._adopt(answer)

    def _pulse(self) -> Pulse:
        waiting = len(self.retries) + len(self.ready) + len(self.pool.todo)
        throttled = self.throttle.until + self.epoch if self.throttle.until > monotonic() else None
        return Pulse(len(self.pool.running()), waiting, throttled, max(len(self.pool.lost), self.gave_up))

    def _adopt(self, policy: Policy) -> None:
        before, self.policy = self.policy, policy
        if policy.rate != before.rate:
            self._set_pace(monotonic())
            self._recall()
        if policy.workers != before.workers:
            self.pool.resize(policy.workers)
            self.window.resize(policy.workers)
        self.expiry_at = 0.0

    def _expire(self, now: float, limit: float) -> None:
        nearest = now
        running = self.pool.running()
        for worker, ticket in running:
            if now - ticket.started < limit:
                nearest = min(nearest, ticket.started)
                continue
            stand_in = Ticket(ticket.position, ticket.payload, ticket.number)
            stand_in.started, stand_in.seconds = ticket.started, now - ticket.started
            stand_in.failure = _too_long(limit)
            self.pool.expire(worker, ticket)
            self.pool.done.append(stand_in)
        self.expiry_at = nearest + limit
        if len(self.pool.lost) >= self.policy.lost_limit and not self.stopping:
            self.gave_up = len(self.pool.lost)
            self.stop()
        self.pool.staff()

    def _pull(self, now: float) -> None:
        # What finished while the caller was busy counts too, else each long write would narrow the window.
        self.window.measure(now, self.settled + len(self.pool.done))
        begun = now
        room = WAITING * self.policy.workers
        while not self.exhausted and self.opened - self.settled < self.window.size and len(self.retries) < room:
            try:
                item = next(self.items)
                if item is NOT_YET:
                    break
                self.ready.append(_ticket(item))
            except StopIteration:
                self.exhausted = True
                break
            except Exception as error:
                self.error = error
                self.exhausted = True
                break
            self.opened += 1
            if self.handed == self.settled or monotonic() - begun > SLICE:
                begun = monotonic()
                self._hand_over(begun)
                if (self.pool.done and begun - now > SOURCE) or begun >= self.beat_at:
                    return
        self._hand_over(monotonic())

    def _hand_over(self, now: float) -> None:
        if not self.ready:
            return
        self.start_at = max(self.throttle.until, self.pool.not_before)
        if now < self.start_at:
            return
        if self.pace is None:
            self.handed += len(self.ready)
            self.pool.push(self.ready)
            self.ready.clear()
        else:
            self._meter(self.pace, now)

    def _meter(self, pace: Pace, now: float) -> None:
        # Under a rate a ticket is handed over only to a worker that is free, so that it starts at once.
        while self.ready and self.handed - self.settled < self.policy.workers:
            wait = pace.wait(now)
            if wait > 0:
                self.start_at = now + wait
                return
            ticket = self.ready.popleft()
            pace.note(ticket, now)
            self.handed += 1
            self.pool.push((ticket,))
        self.start_at = now + BEAT

    def _patience(self) -> float:
        until = self.beat_at
        if self.retries:
            until = min(until, self.retries[0][0])
        if self.policy.timeout is not None:
            until = min(until, self.expiry_at)
        if self.ready:
            until = min(until, self.start_at)
        return until - monotonic()


def _ticket(item: Any) -> Ticket:
    if len(item) == 2:
        position, payload = item
        return Ticket(position, payload, 1)
    position, payload, made = item
    return Ticket(position, payload, made + 1)


def _too_long(limit: float) -> Failure:
    return Failure(TIMEOUT, f"Took longer than {limit:g} seconds.", "")
