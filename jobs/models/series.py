from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Any, Final, TypeAlias

from django.db import models

from jobs.models import latency_histogram
from jobs.models.run import Run

POINTS: Final = 300
FOLDED: Final = 0.5  # of an interval; a last point that is shorter becomes part of the one before
SOONER: Final = 0.9  # of an interval, after which the next point is due: whoever looks comes a little early or late
QUARTER: Final = 900  # seconds
QUARTERS: Final = 100  # that are kept: the longest day, on which clocks go back
SPARK: Final = (96, 20, 24)  # width, height and points of the small curve in the list

# Seconds of the epoch at its end, items finished a second, failed a second, p50 and p95 in seconds (None: no attempts).
Point: TypeAlias = tuple[float, float, float, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Counted:
    """A job's sums at one moment: items that are done and those of them that failed, attempts and their durations."""

    done: int
    failed: int
    attempts: int
    histogram: bytes


class Series(models.Model):
    """How fast a job was while it was worked on: at most 300 points, of equal length but for the first and last.

    What was counted at the last point is kept, so that whoever adds the next one needs no memory of it.
    """

    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, primary_key=True, related_name="series")
    interval = models.FloatField(default=1.0, help_text="Seconds between two points.")
    at = models.DateTimeField(help_text="End of the last point.")
    due = models.DateTimeField(null=True, help_text="When the next one is wanted; empty while nobody works on it.")
    run = models.PositiveIntegerField(default=0, help_text="Number of the run that was counted.")
    readings = models.PositiveIntegerField(default=0, help_text="Of which reading of the file that was.")
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    histogram = models.BinaryField(default=b"")
    quarters = models.TextField(default="[]", help_text="Quarters of an hour, and the items that finished in each.")
    spark = models.CharField(max_length=400, blank=True, help_text="The rate as the path of a small curve.")
    points = models.TextField(default="[]")

    class Meta:
        indexes = [models.Index(fields=["due"], name="series_due"), models.Index(fields=["at"], name="series_at")]
        verbose_name_plural = "series"

    def __str__(self) -> str:
        return f"series of job {self.job_id}"

    # What is drawn

    def load(self) -> list[Point]:
        return [(at, done, failed, p50, p95) for at, done, failed, p50, p95 in json.loads(self.points)]

    def _store(self, points: list[Point]) -> None:
        while len(points) > POINTS:
            points = thinned(points)
            self.interval *= 2
        self.points = json.dumps(points, separators=(",", ":"))
        self.spark = spark([point[1] for point in points])

    # What is counted

    def enter(self, readings: int, run: Run | None) -> None:
        """Forgets an earlier reading of the file, and takes back what a retry put back: that counts again once done."""
        if self.readings != readings:
            self.done = self.failed = self.attempts = 0
            self.histogram, self.points, self.spark, self.interval = b"", "[]", "", 1.0
        self.readings = readings
        if run and self.run != run.number and run.kind == Run.Kind.RETRY:
            again = min(self.failed, run.items)
            self.done, self.failed = self.done - again, self.failed - again
        self.run = run.number if run else 0

    def next_from(self, begun: datetime) -> datetime:
        """When the next point is due, if work began at `begun`."""
        return max(self.at, begun) + timedelta(seconds=SOONER * self.interval)

    def advance(self, now: datetime, begun: datetime, counted: Counted) -> None:
        """Adds a point for the time from `begun`, or the last point if that is later, to `now`."""
        since = max(self.at, begun)
        seconds = (now - since).total_seconds()
        if seconds <= 0:
            return
        done, failed = max(0, counted.done - self.done), max(0, counted.failed - self.failed)
        points = self.load()
        if points and since == self.at and seconds < FOLDED * self.interval:
            points[-1] = folded(points[-1], self.interval, now.timestamp(), done, failed, seconds)
        elif points or done or failed:
            slow = quantiles(self.histogram, counted.histogram)
            points.append((round(now.timestamp(), 2), pace(done, seconds), pace(failed, seconds), *slow))
        self._store(points)
        self._keep(now, counted, done)

    def _keep(self, now: datetime, counted: Counted, done: int) -> None:
        self.at = now
        self.done, self.failed, self.attempts = counted.done, counted.failed, counted.attempts
        self.histogram = counted.histogram
        quarter = quarter_of(now)
        lately = {at: count for at, count in json.loads(self.quarters) if quarter - at < QUARTERS}
        lately[quarter] = lately.get(quarter, 0) + done
        self.quarters = json.dumps([*lately.items()], separators=(",", ":"))


def quarter_of(moment: datetime) -> int:
    """Quarters of an hour since the epoch. In every time zone a day begins with one."""
    return int(moment.timestamp() // QUARTER)


def pace(count: int, seconds: float) -> float:
    """Items a second with four digits."""
    return float(f"{count / seconds:.4g}")


def quantiles(before: Any, after: Any) -> tuple[float | None, float | None]:
    """p50 and p95 of the attempts that came after `before`."""
    old, new = latency_histogram.load(before), latency_histogram.load(after)
    fresh = array("I", (max(0, b - a) for a, b in zip(old, new, strict=True)))
    return brief(latency_histogram.quantile(fresh, 0.5)), brief(latency_histogram.quantile(fresh, 0.95))


def brief(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.3g}")


def folded(point: Point, length: float, at: float, done: int, failed: int, seconds: float) -> Point:
    """The point, prolonged by the last moment of a run."""
    whole = length + seconds
    rates = ((rate * length + count) / whole for rate, count in zip(point[1:3], (done, failed), strict=True))
    first, second = (float(f"{rate:.4g}") for rate in rates)
    return (round(at, 2), first, second, point[3], point[4])


def thinned(points: list[Point]) -> list[Point]:
    """Every two become one."""
    pairs = zip_longest(points[::2], points[1::2])
    return [joined(first, second) if second else first for first, second in pairs]


def joined(first: Point, second: Point) -> Point:
    """The mean of two points; of the slow items the slower, so that a slow moment stays in sight."""
    means = [float(f"{(a + b) / 2:.4g}") for a, b in zip(first[1:3], second[1:3], strict=True)]
    typical = [p50 for p50 in (first[3], second[3]) if p50 is not None]
    slow = [p95 for p95 in (first[4], second[4]) if p95 is not None]
    p50 = brief(sum(typical) / len(typical)) if typical else None
    return (second[0], means[0], means[1], p50, max(slow, default=None))


def spark(rates: list[float]) -> str:
    """The curve of a job's rates, from nothing at the bottom, as the path of an SVG; empty where there is nothing."""
    width, height, most = SPARK
    count = min(most, len(rates))
    edges = [len(rates) * at // count for at in range(count + 1)] if count else []
    means = [sum(rates[start:stop]) / (stop - start) for start, stop in pairwise(edges)]
    top = max(means, default=0.0)
    if not top:
        return ""
    ys = [round(height - 1 - (height - 2) * mean / top) for mean in (means if count > 1 else means * 2)]
    xs = [round(width * at / (len(ys) - 1)) for at in range(len(ys))]
    return "M" + "L".join(f"{x} {y}" for x, y in zip(xs, ys, strict=True))
