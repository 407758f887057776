"""The loop of `manage.py keep`: it repairs what died and wakes who sleeps. It needs no broker to do so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from batchweb.accounts import events as security_events
from jobs.live import throughput
from jobs.maintenance import retention
from jobs.models import Batch, Incoming, Job, JobState, Part, Run, Upload, Worker
from jobs.models.part import BROKER
from jobs.models.states import UNFINISHED, WORKABLE
from jobs.models.upload import discard_strays
from jobs.store import dialect
from jobs.worker import broker, claim, recovery

logger = logging.getLogger(__name__)

SWEEP_EVERY: Final = 5.0  # seconds
FOLLOW_EVERY: Final = 1.0  # seconds
TIDY_EVERY: Final = 60.0  # seconds
ORPHANS_EVERY: Final = 3600.0  # seconds; it looks at every file there is
STAND_BY: Final = 0.5  # seconds between two looks whether the keeper that acts is gone
GAP: Final = 3 * SWEEP_EVERY
A_MOMENT: Final = timedelta(seconds=5)  # in which a message arrives
KEPT_BATCHES: Final = timedelta(minutes=10)
QUEUED_WAKEUPS: Final = 4  # with so many waiting, another one helps nobody
UNDER_WAY: Final = """
    SELECT EXISTS (SELECT 1 FROM jobs_job WHERE state IN (%s, %s, %s))
        OR EXISTS (SELECT 1 FROM jobs_series WHERE due IS NOT NULL), (SELECT MAX(id) FROM jobs_batch)
"""


@contextmanager
def retry_later() -> Iterator[None]:
    """An error of the database is said, and a reason to try again next time."""
    try:
        yield
    except DatabaseError as error:
        logger.warning("The database did not answer (%s); trying again", type(error).__name__)
        connection.close()


class Keeper:
    """What the keeper does, and when it did so last.

    After a gap in its own sweeps nothing expires for one lease: whoever was away together with the keeper, because the
    machine slept or the database did, needs a moment to say that it lives.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._swept = self._patient_until = clock()
        self._newest, self._followed_until = -1, clock()
        self._due = dict.fromkeys((self._sweep, self._follow, tidy, delete_orphan_files), clock())

    def turn(self) -> float:
        """Does what is due by now, and returns in how many seconds the next of it is.

        An error of the database is a reason to try again next time.
        """
        every = {
            self._sweep: SWEEP_EVERY,
            self._follow: FOLLOW_EVERY,
            tidy: TIDY_EVERY,
            delete_orphan_files: ORPHANS_EVERY,
        }
        for duty, due in self._due.items():
            if self._clock() < due:
                continue
            self._due[duty] = self._clock() + every[duty]
            with retry_later():
                duty()
        return max(0.0, min(self._due.values()) - self._clock())

    def stand_by(self) -> float:
        """Another keeper acts: that is no gap. Returns in how many seconds to look again."""
        self._swept = self._clock()
        return STAND_BY

    def _follow(self) -> None:
        """Wakes who is to work, and notes how fast it goes; a minute after the last change one small query is all."""
        busy, newest = under_way()
        if busy or newest != self._newest:
            self._newest, self._followed_until = newest, self._clock() + throughput.LATELY.total_seconds()
        if self._clock() < self._followed_until:
            for duty in (wake, sample):
                with retry_later():
                    duty()

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept > GAP:
            self._patient_until = now + settings.JOBS_LEASE_SECONDS
        sweep(expire=now >= self._patient_until)
        self._swept = now


def keep(stopping: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
    """Runs until `stopping` is set. Of several keepers one acts; another takes over when that one is gone."""
    keeper, only, pause = Keeper(clock), dialect.LeaderLock("keeper"), 0.0
    while not stopping.wait(pause):
        pause = STAND_BY
        with retry_later():
            pause = keeper.turn() if only.mine() else keeper.stand_by()


def under_way() -> tuple[bool, int]:
    """Whether there is work to do or to sample, and the newest batch: that tells of a job too quick to be seen."""
    ((busy, newest),) = dialect.execute(UNDER_WAY, [JobState.LOADING, *WORKABLE])
    return bool(busy), newest or 0


def sweep(expire: bool = True) -> None:
    """Returns expired leases, and ends jobs and trials that have nothing left."""
    if expire:
        recovery.return_expired()
    idle = Job.objects.filter(state__in=UNFINISHED).exclude(shards__token__gt="")
    for job in idle.filter(Q(run__kind=Run.Kind.TRIAL) | Q(run__held_back__gt=0) | ~Q(shards__pending__gt=0)):
        job.finish()


def read_again() -> None:
    """Asks for readers for files that nobody reads, unless so many are asked for already."""
    # When a job was made the web server's clock says, which may be wrong.
    just_sent = Q(load_expires=None, created__range=(Now() - A_MOMENT, Now() + A_MOMENT))
    unread = Job.objects.exclude(just_sent).unread()[:QUEUED_WAKEUPS]
    if unread and not many("load"):
        for job in unread:
            send(broker.LOAD, job.pk)


def wake() -> bool:
    """Sends one wake-up if there is work that nobody does; never adds to a queue that is long already.

    Has files read, too, that nobody reads: their reader died, or was never called.
    """
    read_again()
    if not claim.candidates() or many("work"):
        return False
    return send(broker.WORK)


def many(queue: str) -> bool:
    """Whether so many messages wait that another one helps nobody. A broker that does not answer has none to spare."""
    return (broker.queued(queue) or 0) >= QUEUED_WAKEUPS


def send(name: str, *args: Any) -> bool:
    """Sends a task, and notes for the pages whether the broker could be reached."""
    sent = broker.send(name, *args)
    Part.saw(BROKER, ok=sent)
    return sent


def sample() -> None:
    """Notes how fast the jobs are that are worked on."""
    throughput.sample()


def tidy() -> None:
    """Removes what nobody needs: uploads without a job, batches that every viewer has passed, workers long gone."""
    retention.keep_up()
    security_events.forget()
    Upload.objects.unreferenced().discard()
    Incoming.objects.lost().delete()
    old = timezone.now() - KEPT_BATCHES
    for _ in range(20):
        chunk = list(Batch.objects.filter(created__lt=old).values_list("pk", flat=True)[:5000])
        Batch.objects.filter(pk__in=chunk).delete()
        if len(chunk) < 5000:
            break
    Worker.objects.filter(seen__lt=timezone.now() - timedelta(days=7), shards=None).delete()


def delete_orphan_files() -> None:
    """Removes files that no row knows of."""
    try:
        discard_strays()
    except FileNotFoundError:
        return  # nothing was ever stored
    except OSError as error:
        logger.warning("The stored files could not be looked through: %s", error)
