from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.urls import reverse
from django.utils import timezone

from jobs import events, processors
from jobs.engine import Policy
from jobs.files import Shape
from jobs.models.activity import Activity
from jobs.models.batch import Batch
from jobs.models.run import Run
from jobs.models.shard import Shard
from jobs.models.states import ENDED, WORKABLE, JobState, sources
from jobs.models.upload import Upload

# Without 0, 1, l and o, which people misread.
ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyz"
WORKERS_PER_TASK: Final = 50
COUNTS: Final = ("pending", "retrying", "succeeded", "failed", "rejected", "fallbacks", "attempts", "running")

# Which verb is possible in which state; the sentence says why not in the others.
VERBS: Final[dict[str, tuple[tuple[JobState, ...], str]]] = {
    "start": ((JobState.READY,), "Only a job that is ready can be started."),
    "pause": (WORKABLE, "Only a job that waits or runs can be paused."),
    "resume": ((JobState.PAUSED, JobState.CANCELLED), "Only a paused or cancelled job can be resumed."),
    "cancel": (tuple(sources(JobState.CANCELLED)), "The job has ended already."),
    "retry": (
        (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.FINISHED, JobState.CANCELLED),
        "Failed items can be tried again once the job has been started.",
    ),
}


class Refused(Exception):
    """The verb is not possible in the job's state; the message is a sentence for a person."""


def new_code() -> str:
    """12 of 32 letters: 60 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Any) -> JobQuerySet:
        """The jobs that this person may see: their own, and all for staff."""
        return self.all() if user.is_staff else self.filter(owner=user)

    def workable(self) -> JobQuerySet:
        return self.filter(state__in=WORKABLE)

    def live(self) -> JobQuerySet:
        """Jobs whose numbers may still change."""
        return self.exclude(state__in=ENDED)

    def with_counts(self) -> JobQuerySet:
        """Each job with the sums of its shards as `sum_<count>`: one query for a whole page."""
        return self.annotate(**{f"sum_{name}": Sum(f"shards__{name}", default=0) for name in COUNTS})


class Job(models.Model):
    """One upload's items under one processor."""

    code = models.CharField(max_length=12, unique=True, default=new_code, editable=False)
    name = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT)

    processor = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict)
    shape = models.JSONField(default=dict, help_text="Format, encoding, delimiter and header of the file.")
    columns = models.JSONField(default=list)
    mapping = models.JSONField(default=dict, help_text="Input of the processor → column of the file.")
    label_column = models.CharField(max_length=200, blank=True)
    key_column = models.CharField(max_length=200, blank=True)
    result_keys = models.JSONField(default=list, help_text="Keys seen in results; '' stands for plain values.")

    workers = models.PositiveIntegerField(default=10)
    attempts = models.PositiveIntegerField(default=1)
    backoff = models.FloatField(default=1.0)
    backoff_max = models.FloatField(default=60.0)
    timeout = models.FloatField(null=True, default=60.0)
    rate = models.FloatField(null=True)

    state = models.CharField(max_length=10, choices=JobState, default=JobState.LOADING)
    reason = models.CharField(max_length=500, blank=True)
    autostart = models.BooleanField(default=False, help_text="Go on to the queue once the file is read.")
    total = models.PositiveIntegerField(default=0)
    seq = models.PositiveIntegerField(default=0, help_text="Number of the newest batch.")
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")

    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True, help_text="Working since; empty while it does not.")
    spent = models.FloatField(default=0.0, help_text="Seconds worked in the present run before `since`.")
    served = models.DateTimeField(null=True, help_text="When a worker last turned to it.")
    load_token = models.CharField(max_length=32, blank=True)
    load_expires = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(state__in=JobState.values), name="job_state_known")]
        indexes = [
            models.Index(fields=["state", "served"], name="job_by_state"),
            models.Index(fields=["owner", "-created"], name="job_of_owner"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.code])

    # What it is

    @property
    def file_shape(self) -> Shape:
        return Shape.from_dict(self.shape)

    @property
    def policy(self) -> Policy:
        """How hard to try. A person who asks for several attempts means any failure, unless the processor knows better."""
        kinds = processors.get(self.processor).policy.retry_on or ("*",)
        return Policy(
            workers=self.workers, attempts=self.attempts, backoff=self.backoff, backoff_max=self.backoff_max,
            timeout=self.timeout, rate=self.rate, retry_on=kinds,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def allows(self, verb: str) -> bool:
        return self.state in VERBS[verb][0]

    def counts(self) -> dict[str, int]:
        """The sums of the shards; see COUNTS for the names."""
        if hasattr(self, "sum_pending"):
            return {name: getattr(self, f"sum_{name}") for name in COUNTS}
        return self.shards.aggregate(**{name: Sum(name, default=0) for name in COUNTS})

    @property
    def workable(self) -> bool:
        return self.state in WORKABLE

    def shares(self) -> list[int]:
        """The workers of each task it is split over: one task up to 50 workers, and with a rate always one."""
        tasks = 1 if self.rate else -(-self.workers // WORKERS_PER_TASK)
        return [self.workers // tasks + (number < self.workers % tasks) for number in range(tasks)]

    def workers_leased(self) -> int:
        """How many of the job's workers its living leases use."""
        used: int = self.shards.aggregate(used=Sum("share", default=0))["used"]
        return used

    def elapsed(self) -> float:
        """Seconds that the present run has been worked on; pauses do not count."""
        return self.spent + ((timezone.now() - self.since).total_seconds() if self.since else 0.0)

    # What may happen to it

    def move(self, to: JobState, only: Sequence[JobState] = (), **fields: Any) -> bool:
        """Enters the state `to` if an arrow leads there from the stored state (which must be among `only`).

        Exactly one of several callers gets True. Runs in the caller's transaction or one of its own; viewers are
        woken when it commits.
        """
        allowed = [state for state in sources(to) if not only or state in only]
        with transaction.atomic():
            stored = Job.objects.select_for_update().get(pk=self.pk)
            if stored.state not in allowed:
                return False
            if to != JobState.RUNNING and stored.since:
                fields |= {"spent": stored.elapsed(), "since": None}
            moved = Job.objects.filter(pk=self.pk, state=stored.state).update(state=to, **fields)
            if moved:
                self.announce()
            return bool(moved)

    def announce(self, delta: bytes | None = b"") -> None:
        """Gives what this transaction changed the next number, and wakes the viewers when it commits."""
        Job.objects.filter(pk=self.pk).update(seq=F("seq") + 1)
        self.refresh_from_db()
        Batch.objects.create(job=self, seq=self.seq, delta=delta)
        transaction.on_commit(partial(events.wake, self.code, self.seq, self.owner_id, at_once=True))

    def note(self, verb: str, text: str, by: Any = None) -> None:
        Activity.objects.create(job=self, verb=verb, text=text, by=by)

    def refuse_unless(self, verb: str) -> None:
        """Raises Refused where the stored state does not allow the verb."""
        self.refresh_from_db()
        if not self.allows(verb):
            raise Refused(VERBS[verb][1])

    def new_run(self, kind: str, items: int, by: Any) -> Run:
        number = self.runs.count() + 1  # type: ignore[attr-defined]
        policy = {name: getattr(self, name) for name in ("workers", "attempts", "timeout", "rate")}
        return Run.objects.create(
            job=self, number=number, kind=kind, items=items, by=by, parameters=self.parameters, policy=policy
        )

    @transaction.atomic
    def start(self, by: Any = None) -> None:
        """Puts a job that is ready into the queue."""
        self.refuse_unless("start")
        run = self.new_run(Run.Kind.FIRST, self.total, by)
        if not self.move(JobState.QUEUED, only=[JobState.READY], run=run, reason=""):
            raise Refused(VERBS["start"][1])
        self.note("start", "Started", by)

    def begin(self) -> None:
        """Notes that a worker turned to the job; the first one sets it running."""
        now = timezone.now()
        Job.objects.filter(pk=self.pk).update(served=now)
        self.move(JobState.RUNNING, started=self.started or now, since=now)

    @transaction.atomic
    def pause(self, by: Any = None, reason: str = "") -> None:
        """No new item starts; what is in flight is still recorded."""
        self.refuse_unless("pause")
        if not self.move(JobState.PAUSED, reason=reason or "Paused by a person."):
            raise Refused(VERBS["pause"][1])
        self.note("pause", reason or "Paused", by)

    @transaction.atomic
    def resume(self, by: Any = None) -> None:
        """Goes on with what was not attempted."""
        self.refuse_unless("resume")
        if not self.counts()["pending"]:
            raise Refused("Every item of this job has been attempted; there is nothing to go on with.")
        if not self.move(JobState.QUEUED, only=VERBS["resume"][0], reason="", finished=None):
            raise Refused(VERBS["resume"][1])
        self.note("resume", "Resumed", by)

    @transaction.atomic
    def cancel(self, by: Any = None) -> None:
        """Ends the job. What is in flight is still recorded; the rest stays as not attempted."""
        self.refuse_unless("cancel")
        if not self.move(JobState.CANCELLED, reason="", finished=timezone.now()):
            raise Refused(VERBS["cancel"][1])
        self.note("cancel", "Cancelled", by)

    @transaction.atomic
    def finish(self) -> bool:
        """Ends the job if nothing is pending and no lease lives. Only the caller that ended it gets True."""
        Job.objects.select_for_update().get(pk=self.pk)
        if self.shards.filter(Q(pending__gt=0) | ~Q(token="")).exists():
            return False
        only = [JobState.QUEUED, JobState.RUNNING, JobState.PAUSED]
        if not self.move(JobState.FINISHED, only=only, reason="", finished=timezone.now()):
            return False
        self.note("finish", "Finished")
        return True
