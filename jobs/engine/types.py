"""The values that cross the border of the engine."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

THROTTLED = "throttled"
TIMEOUT = "timeout"
WORKER_DIED = "worker died"
# The longest wait that a service may ask for: a slip of its clock shall not keep a run waiting for a century.
LONGEST = 86_400.0


class Order(enum.Enum):
    """What a beat may order besides a new policy."""

    STOP = "stop"


STOP = Order.STOP


class RetryLater(Exception):
    """Raised by a processor whose service asks to wait `seconds`: the whole run pauses, and no attempt is used up.

    Then it goes on at the pace that the service seems to allow. With `alone` only this item waits, for a service that
    the others do not use. More than a day is cut to a day; ValueError where it is no finite number.
    """

    def __init__(self, seconds: float, *, alone: bool = False) -> None:
        super().__init__(f"The service asks to wait {float(seconds):g} seconds.")
        if not math.isfinite(seconds):
            raise ValueError("The seconds to wait must be a finite number.")
        self.seconds = min(max(0.0, float(seconds)), LONGEST)
        self.alone = alone


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try. Durations are seconds, `rate` is starts per second; None means no limit, and 0 is refused."""

    workers: int = 10
    attempts: int = 1
    backoff: float = 1.0
    backoff_max: float = 60.0
    timeout: float | None = None
    rate: float | None = None
    retry_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _whole("workers", self.workers)
        _whole("attempts", self.attempts)
        _positive("backoff", self.backoff)
        _positive("backoff_max", self.backoff_max)
        if self.timeout is not None:
            _positive("timeout", self.timeout)
        if self.rate is not None:
            _positive("rate", self.rate)
        if not isinstance(self.retry_on, tuple) or not all(isinstance(kind, str) for kind in self.retry_on):
            raise TypeError("retry_on must be a tuple of kinds of failure, each a string.")

    @property
    def lost_limit(self) -> int:
        """How many threads may hang at once before `run` gives up; compare it with `Pulse.lost`."""
        return max(16, 4 * self.workers)

    def retries(self, kind: str) -> bool:
        """Whether a failure of this kind is worth another attempt."""
        return kind in self.retry_on or "*" in self.retry_on


def _whole(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}.")


def _positive(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}.")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number above 0, not {value}.")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, as text: message up to 2 kB, trace up to 8 kB."""

    kind: str
    message: str
    trace: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one item, final when `retry_at` is None; `started` and `retry_at` are seconds since the epoch."""

    position: int
    number: int
    started: float
    seconds: float
    value: Any = None
    failure: Failure | None = None
    log: str = ""
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """A run at one moment.

    `running` says of each item that is tried now since when, in seconds since the epoch; who asks it later learns what
    runs then. `waiting` items were pulled and wait, for their start or for their next attempt; `throttled_until` is in
    seconds since the epoch; `lost` threads hang in an attempt that is past its deadline.
    """

    running: Mapping[int, float]
    waiting: int
    throttled_until: float | None
    lost: int

    def kept(self) -> Pulse:
        """The same, with what runs at this moment."""
        return replace(self, running=dict(self.running.items()))

    @property
    def in_flight(self) -> int:
        """How many attempts run now."""
        return len(self.running)


Beat: TypeAlias = Callable[[Pulse], Policy | Order | None]
