"""How fast to go on after a service has refused: the pace that it seems to allow."""

from __future__ import annotations

from collections.abc import Collection

# How many seconds a pace is kept before more is tried: at first, at most, and while each try still finds more.
KEEP, LONGEST, BRIEF = 30.0, 120.0, 2.0
# In how many seconds of trying more the pace doubles, and after how many without a refusal it is forgotten.
DOUBLING, FORGOTTEN = 5.0, 20.0
# The same after an opening burst, of which a service may have taken any part: nothing is known, so more is tried soon.
QUICKLY = 1.0
BURST = 0.05
# A try that raises the pace by as much was worth it.
WORTH = 1.1
# What is left of a pace that was refused without having tried more, and of all such cuts together.
CUT, FLOOR = 0.95, 0.5
# What is used of a pace: what starts evenly here arrives unevenly there, and one start too many costs a whole pause.
SLACK = 0.99
# The slowest pace, in starts per second. What is slower than that is a matter of waiting.
SLOWEST = 1.0
# A service that refuses again and again is asked after twice as long each time, up to so many times as long.
LONGEST = 64.0


class Throttle:
    """The pause that a service asks for, and the pace after it.

    The pace is what the service accepted in the second before it refused: measured, where other methods guess. After a
    while more is tried, along the convex part of the cubic curve of RFC 9438, which begins flat and then steepens. Each
    such try costs a whole pause, so the next one waits twice as long, unless it found more. A refusal without a try
    cuts the pace by a little, but not below what the service has accepted since the last one, pauses included. Where
    nothing is refused any more the pace is forgotten.

    Share of the possible, 20 workers and 300 ms in a simulated clock, for 300 and 1,000 items, against a server that
    takes 33 requests in any second and rounds Retry-After up to whole seconds: 0.95 and 0.97. To wait and then start
    everything at once: 0.77 and 0.77. The adaptive mode of the AWS SDKs (cubic, cuts to 0.7): 0.76 and 0.77. Adding 1/s
    each second and halving: 0.69 and 0.70. Against a token bucket of 33/s that holds 5: 0.65 and 0.82, where those
    reach 0.16 and 0.15, 0.65 and 0.75, 0.52 and 0.69.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self._rate: float | None = None
        self._known = 0.0
        self._keep, self._doubling = KEEP, DOUBLING
        self._before: float | None = None
        self._measuring = False
        self._begun = self._newest = 0.0
        self._strikes = 0

    def refuse(self, started: float, ended: float, seconds: float, accepted: Collection[float], least: float) -> None:
        """Take note of an attempt that the service refused, to be made again in `seconds` or more.

        `accepted` are the recent starts of others. A service that refuses again before it has accepted anything is
        asked after `least` seconds, then after twice as long each time.
        """
        if started > self.until:
            self._begin(started, accepted)
        self._newest = max(self._newest, started)
        if self._measuring:
            self._measure([start for start in accepted if self._newest - 1 < start <= self._newest])
        wait = least * min(2.0 ** (self._strikes - 1), LONGEST) if self._strikes else 0.0
        self.until = max(self.until, ended + max(seconds, wait))

    def rate(self, now: float) -> float | None:
        """Starts per second to keep to at this time; None for as many as one likes."""
        if self._rate is None:
            return None
        trying = max(0.0, now - self.until - self._keep)
        if trying > FORGOTTEN:
            self._rate = None
            return None
        return SLACK * self._rate * (1 + (trying / self._doubling) ** 3)

    def _begin(self, started: float, accepted: Collection[float]) -> None:
        """The first refusal since the pause; those of attempts that ran already belong to the same one."""
        heard = any(start > self.until for start in accepted)
        self._strikes = 0 if heard or not self.until else self._strikes + 1
        tried = started > self.until + self._keep
        self._measuring = self._rate is None or (tried and not self._strikes)
        self._before = self._rate
        if not self._measuring and self._rate is not None and not self._strikes:
            since = sum(start > self._begun for start in accepted) / (started - self._begun)
            self._rate = max(CUT * self._rate, since, FLOOR * self._known)
            self._keep, self._doubling = max(self._keep, BRIEF), DOUBLING
        self._kept = self._keep
        self._begun = self._newest = started

    def _measure(self, window: Collection[float]) -> None:
        self._doubling = DOUBLING
        self._rate = self._known = max(SLOWEST, len(window), self._before or 0.0)
        if self._before is None:
            burst = not window or self._newest - min(window) < BURST
            self._keep, self._doubling = (0.0, QUICKLY) if burst else (KEEP, DOUBLING)
        elif self._rate >= WORTH * self._before:
            self._keep = BRIEF
        else:
            self._keep = min(max(2 * self._kept, KEEP), LONGEST)
