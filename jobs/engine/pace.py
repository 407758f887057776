"""How soon the next attempt may start under a rate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from jobs.engine.context import Ticket

# A thread notes its start a moment before the user's code runs; the margin keeps that moment out of the next second.
MARGIN = 0.01
# How late the coordinator may be and still catch up.
CREDIT = 0.1
# How soon to look again when a start that counts has not happened yet.
GLANCE = 0.005


class Pace:
    """Spaces starts evenly, and never lets more than `rate` of them fall into any one second.

    Even spacing is the generic cell rate algorithm (ITU-T I.371) with a small credit. The bound over any second is held
    against the time at which attempts really started, because a thread may take its ticket a little late.
    """

    def __init__(self, rate: float, earlier: Iterable[Ticket] = ()) -> None:
        self._gap = 1 / rate
        self._count = math.ceil(rate)
        self._span = self._count / rate + MARGIN
        self._next = 0.0
        self.recent: deque[Ticket] = deque(earlier, maxlen=self._count)

    def wait(self, now: float) -> float:
        """Seconds until the next start is allowed; 0 when it is allowed now."""
        return max(0.0, self._next - CREDIT - now, self._until_window_opens(now))

    def note(self, ticket: Ticket, now: float) -> None:
        """Count a ticket that is handed over now."""
        self._next = max(self._next, now) + self._gap
        self.recent.append(ticket)

    def _until_window_opens(self, now: float) -> float:
        if len(self.recent) < self._count:
            return 0.0
        oldest = self.recent[0]
        return oldest.started + self._span - now if oldest.started else GLANCE
