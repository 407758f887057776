"""What may start and when: at once, at a pace, or after the pause that a service asked for."""

from __future__ import annotations

from collections import deque
from time import monotonic

from jobs.engine.context import Ticket
from jobs.engine.pace import COLD, Pace
from jobs.engine.threads import Pool
from jobs.engine.throttle import Throttle
from jobs.engine.types import Policy

# How many starts that a service accepted are remembered, to learn its pace from when it refuses one.
REMEMBERED = 4096


class Starter:
    """Hands what is `ready` over to the pool, and says with `start_at` when to come again for the rest."""

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self.ready: deque[Ticket] = deque()
        self.start_at = 0.0
        self.accepted: deque[float] = deque(maxlen=REMEMBERED)
        self.pace = Pace(policy.rate, COLD) if policy.rate else None
        self._pool = pool
        self._policy = policy
        self._throttle = Throttle()

    @property
    def paused_until(self) -> float:
        """The end of the pause that a service asked for, by the monotonic clock; long ago when there was none."""
        return self._throttle.until

    def start(self, now: float, under_way: int) -> None:
        """Hand over what may start now, beside so many attempts that were handed over and are not settled."""
        if not self.ready:
            return
        self.start_at = max(self._throttle.until, self._pool.not_before)
        if now < self.start_at:
            return
        if self.pace is None:
            self._pool.push(self.ready)
            self.ready.clear()
        else:
            self._meter(self.pace, now, self._policy.workers - under_way)

    def stop(self) -> int:
        """Drop all that has not started; returns how many."""
        dropped = len(self._pool.recall()) + len(self.ready)
        self.ready.clear()
        return dropped

    def adopt(self, policy: Policy) -> None:
        """Go on under another policy."""
        before, self._policy = self._policy, policy
        if policy.rate != before.rate:
            self.look(monotonic())
            self._recall()

    def look(self, now: float) -> None:
        """Take note of the time: a pace that was learned changes with it."""
        rate = min(filter(None, (self._policy.rate, self._throttle.rate(now))), default=None)
        if rate is None:
            self.pace = None
        elif self.pace is None:
            self.pace = Pace(rate)
        else:
            self.pace.tune(rate)

    def pause(self, ticket: Ticket, seconds: float) -> None:
        """Take note that the service refused this attempt, and asks to wait."""
        others = [*self._pool.done, *(running for _, running in self._pool.running())]
        accepted = [*self.accepted, *(other.started for other in others if other.refusal is None)]
        ended = ticket.started + ticket.seconds
        self._throttle.refuse(ticket.started, ended, seconds, accepted, self._policy.backoff)
        self._recall()
        self.look(ended)

    def _meter(self, pace: Pace, now: float, free: int) -> None:
        # A ticket is handed over only to a worker that is free, so that it starts at once.
        for _ in range(min(free, len(self.ready))):
            wait = pace.wait(now)
            if wait > 0:
                self.start_at = now + wait
                return
            ticket = self.ready.popleft()
            pace.note(ticket, now)
            self._pool.push((ticket,))
        # Until one of them is done.
        self.start_at = float("inf")

    def _recall(self) -> None:
        taken = self._pool.recall()
        self.ready.extendleft(reversed(taken))
        if self.pace is not None:
            self.pace.forget(taken)
