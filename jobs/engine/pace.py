"""How soon the next attempt may start under a rate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

from jobs.engine.context import Ticket
from jobs.engine.types import Policy

# A thread notes its start a moment before the user's code runs; the margin keeps that moment out of the next second.
MARGIN = 0.01
# The first starts of a run open connections and reach the service late, by which the next ones would come too soon.
COLD = 0.1
# How late the coordinator may be and still catch up.
CREDIT = 0.1
# How soon to look again when a start that counts has not happened yet.
GLANCE = 0.005


class Pace:
    """Spaces starts evenly, and never lets more than `rate` of them fall into any one second.

    Even spacing is the generic cell rate algorithm (ITU-T I.371) with a small credit. The bound over any second is held
    against the time at which attempts really started, because a thread may take its ticket a little late.
    """

    def __init__(self, rate: float, cold: float = 0.0) -> None:
        """With `cold` the first starts count for so many seconds longer."""
        self._cold = cold
        self._noted = 0
        self._next = 0.0
        self._recent: deque[Ticket] = deque()
        self.tune(rate)

    def tune(self, rate: float) -> None:
        """Go on at another rate; what started before still counts."""
        self._gap = 1 / rate
        self._count = math.ceil(rate)
        self._span = self._count / rate + MARGIN
        self._recent = deque(self._recent, maxlen=self._count)

    def wait(self, now: float) -> float:
        """Seconds until the next start is allowed; 0 when it is allowed now."""
        return max(0.0, self._next - CREDIT - now, self._until_window_opens(now))

    def note(self, ticket: Ticket, now: float) -> None:
        """Count a ticket that is handed over now."""
        self._next = max(self._next, now) + self._gap
        self._noted += 1
        self._recent.append(ticket)

    def forget(self, tickets: Collection[Ticket]) -> None:
        """Do not count these: they were taken back before they started."""
        if tickets:
            self._recent = deque((ticket for ticket in self._recent if ticket not in tickets), maxlen=self._count)

    def _until_window_opens(self, now: float) -> float:
        if len(self._recent) < self._count:
            return 0.0
        oldest = self._recent[0]
        span = self._span + (self._cold if self._noted < 2 * self._count else 0.0)
        return oldest.started + span - now if oldest.started else GLANCE


def whole(rows: int, seconds: float, policy: Policy) -> float:
    """Seconds that all rows take, one attempt each: rows ÷ workers in full turns, or as slowly as the rate says."""
    turns = -(-rows // policy.workers)
    return max(turns * seconds, (rows - 1) / policy.rate if policy.rate else 0.0)
