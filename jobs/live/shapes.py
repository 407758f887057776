"""What the sockets carry, by name and type. Scripts read just these keys, and a test holds the two together."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from jobs.items.causes import Causes
from jobs.models.reason import ReasonFrame
from jobs.models.series import Point
from jobs.store.outcomes import RecentRow


class Pace(TypedDict):
    """Items a second and seconds left, where they are known."""

    rate: float | None
    eta: float | None


class Progress(Pace):
    """How fast a job is, and why it is not faster. `why` is the text of the reason while it could go on."""

    reason: ReasonFrame
    why: str
    elapsed: float | None
    p50: float | None
    p95: float | None


class ActivityLine(TypedDict):
    """One thing that was done to a job; `file` is the number of the run whose corrections came as a file."""

    id: int
    at: str
    text: str
    by: str
    file: NotRequired[int]


class Facts(TypedDict):
    """What a job is, and how it runs: `settings` by the names of the panel, `limit` in words or empty."""

    name: str
    file: str
    processor: str
    settings: dict[str, Any]
    limit: str
    started: str | None
    ended: str | None
    activity: list[ActivityLine]


# "from" is a word of the language, so that this one cannot be written as a class.
Place = TypedDict("Place", {"t": str, "job": str, "from": int, "seq": int})


class Frame(Place, Progress, Facts, Causes):
    """One message about a job with absolute numbers. See `frame.stats`."""

    state: str
    label: str
    trial: int
    running: list[int]
    throttled: float | None
    run: int
    readings: int
    counts: dict[str, int]
    total: int
    attempts: int
    points: list[Point]
    rows: list[RecentRow]
    actions: list[str]


class ListRow(Pace):
    """A job in the live list."""

    code: str
    seq: int
    state: str
    label: str
    done: int
    failed: int
    total: int
    reason: ReasonFrame
    why: str
    elapsed: float | None
    spark: str
    counts: dict[str, int]
