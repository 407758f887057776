from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from jobs import events, processors
from jobs.engine import Policy
from jobs.files import Shape, flattening
from jobs.humanize import items
from jobs.models import parameters, permissions, run_settings, scheduling, sharing
from jobs.models.activity import Activity
from jobs.models.batch import Batch
from jobs.models.failure_limit import SAMPLE, End, Limit, Tally
from jobs.models.item import Attempt, Item, ItemQuerySet
from jobs.models.jobset import COUNTS as COUNTS
from jobs.models.jobset import JobQuerySet as JobQuerySet
from jobs.models.reason import NO_REASON, Code, Reason
from jobs.models.run import Run
from jobs.models.states import ARROWS, ENDED, POSSIBLE, UNFINISHED, WORKABLE, ItemState, JobState, sources
from jobs.models.states import Refused as Refused
from jobs.models.upload import Upload
from jobs.processors.values import is_encrypted

# Without 0, 1, l and o, which people misread.
ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyz"
LATEST: Final = 20  # activities on its page
# Begins to count anew what the failure limit looks at.
NEW_ROUND: Final[dict[str, Any]] = {"limit_round": F("limit_round") + 1, "limit_tally": ""}
# And so for the first time: nobody works on the job.
FIRST_ROUND: Final[dict[str, Any]] = {"limit_round": 0, "limit_tally": "", "started": None, "spent": 0.0}
# As if the file had not been read yet.
UNREAD: Final[dict[str, Any]] = {
    "total": 0, "stored": 0, "report": {}, "result_keys": [], "run": None, "finished": None,
    "pruned": None, "readings": F("readings") + 1, "load_token": "", "load_expires": None, "load_tries": 0,
    **FIRST_ROUND,
}  # fmt: skip


def new_code() -> str:
    """12 of 32 letters: 60 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


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

    limit_share = models.FloatField(null=True, help_text="Pauses when more per cent of the items tried failed.")
    limit_sample = models.PositiveIntegerField(db_default=SAMPLE, default=SAMPLE, help_text="Least items for a share.")
    limit_count = models.PositiveIntegerField(null=True, help_text="Pauses after so many failures.")
    limit_streak = models.PositiveIntegerField(null=True, help_text="Pauses after so many of one cause in a row.")
    limit_round = models.PositiveIntegerField(db_default=0, default=0, help_text="Resumes and retries so far.")
    limit_tally = models.TextField(db_default="", default="", blank=True, help_text="What was counted in this round.")

    state = models.CharField(max_length=10, choices=JobState, default=JobState.LOADING)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it stopped, for people.")
    reason_code = models.CharField(max_length=20, blank=True, default="", db_default="", help_text="And for programs.")
    autostart = models.BooleanField(default=False, help_text="Go on to the queue once the file is read.")
    total = models.PositiveIntegerField(default=0)
    stored = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="Bytes of its rows: inputs, results, fallbacks, what attempts left, inputs from before corrections.",
    )
    seq = models.PositiveIntegerField(default=0, help_text="Number of the newest batch.")
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")

    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True, help_text="Working since; empty while it does not.")
    spent = models.FloatField(default=0.0, help_text="Seconds worked in the present run before `since`.")
    served = models.DateTimeField(null=True, help_text="When a worker last turned to it.")
    deleting = models.DateTimeField(null=True, help_text="Since then nobody sees it, and it is being removed.")
    pruned = models.DateTimeField(null=True, help_text="Since then only its results are kept.")
    report = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="What was found when the file was read.",
    )
    readings = models.PositiveIntegerField(db_default=0, default=0, help_text="How often the file was read anew.")
    load_token = models.CharField(max_length=32, blank=True)
    load_expires = models.DateTimeField(null=True)
    load_worker = models.CharField(max_length=200, blank=True, default="", db_default="", help_text="Reads its file.")
    load_process = models.PositiveIntegerField(default=0, db_default=0, help_text="The reader's process id there.")
    load_tries = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Readers that began since rows were stored last."
    )

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
    def keys(self) -> list[flattening.Key]:
        """The keys by which its results become columns."""
        return flattening.known(self.result_keys)

    @property
    def policy(self) -> Policy:
        """How hard to try. Whoever asks for several attempts means any failure, unless the processor knows better."""
        kinds = processors.get(self.processor).policy.retry_on or ("*",)
        return Policy(
            workers=self.workers, attempts=self.attempts, backoff=self.backoff, backoff_max=self.backoff_max,
            timeout=self.timeout, rate=self.rate, retry_on=kinds,
        )  # fmt: skip

    @property
    def limit(self) -> Limit:
        """When too much fails; false where there is no limit."""
        return run_settings.limit_of(self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """What can be changed while it runs."""
        return {name: getattr(self, name) for name in (*run_settings.POLICY, *run_settings.LIMIT)}

    @property
    def stopped_for(self) -> Reason:
        """Why it was paused, or its file refused."""
        return Reason(Code(self.reason_code), self.reason)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def allows(self, verb: str) -> bool:
        return self.state in POSSIBLE[verb][0]

    # Whose it is, and who else may do something with it

    may_act = permissions.may_act
    may_give = permissions.may_give
    share = sharing.share
    unshare = sharing.unshare
    rename = sharing.rename
    give = sharing.give
    offer_to = sharing.offer
    withdraw = sharing.withdraw
    take = sharing.take
    decline = sharing.decline

    @cached_property
    def latest(self) -> list[Activity]:
        """What was done to it last, the newest first: as many as its page lists."""
        return list(self.activities.told()[:LATEST])

    def counts(self) -> dict[str, int]:
        """The sums of the shards; see COUNTS for the names."""
        if hasattr(self, "sum_pending"):
            return {name: getattr(self, f"sum_{name}") for name in COUNTS}
        return self.shards.aggregate(**{name: Sum(name, default=0) for name in COUNTS})

    def read_items(self) -> ItemQuerySet:
        """Its items. What an earlier reading of the file left behind is none of them."""
        return Item.objects.filter(job=self, position__lt=self.total)

    @property
    def read_whole(self) -> bool:
        """Whether all rows of the file are stored."""
        return self.state != JobState.LOADING and bool(self.total) and not self.load_token

    @property
    def trying(self) -> bool:
        """Whether its present run is a trial."""
        return self.run is not None and self.run.kind == Run.Kind.TRIAL

    @property
    def workable(self) -> bool:
        return self.state in WORKABLE

    most_tasks = property(scheduling.most_tasks)
    room = scheduling.room
    spare = scheduling.spare
    fair_share = scheduling.fair_share
    workers_leased = scheduling.workers_leased

    def elapsed(self) -> float:
        """Seconds that the present run has been worked on; pauses do not count."""
        return self.spent + ((timezone.now() - self.since).total_seconds() if self.since else 0.0)

    # What may happen to it

    def lock(self) -> None:
        """Keeps others from changing the job until the transaction ends, and reads what is stored.

        Whoever also wants the job's shards locks those before.
        """
        self.refresh_from_db(from_queryset=Job.objects.select_for_update(no_key=True))
        for name in COUNTS:
            self.__dict__.pop(f"sum_{name}", None)

    @transaction.atomic
    def move(self, to: JobState, only: Sequence[JobState] = (), *, reason: Reason = NO_REASON, **fields: Any) -> bool:
        """Enters the state `to` if an arrow leads there from the stored state (which must be among `only`).

        Exactly one of several callers gets True. Viewers are woken when the transaction commits.
        """
        self.lock()
        if self.state not in (only or sources(to)) or to not in ARROWS[JobState(self.state)]:
            return False
        if to != JobState.RUNNING and self.since:
            fields = {"spent": self.elapsed(), "since": None} | fields
        fields |= {"reason": reason.text[:500], "reason_code": reason.code}
        Job.objects.filter(pk=self.pk).update(state=to, **fields)
        self.announce()
        return True

    def announce(self, delta: bytes | None = b"") -> None:
        """Gives what this transaction changed the next number, and wakes the viewers when it commits."""
        Job.objects.filter(pk=self.pk).update(seq=F("seq") + 1)
        self.refresh_from_db()
        Batch.objects.create(job=self, seq=self.seq, delta=delta)
        transaction.on_commit(partial(events.wake, self.code, self.seq, self.owner_id, at_once=True))

    def note(self, verb: str, text: str, by: Any = None, **more: Any) -> None:
        Activity.objects.create(job=self, verb=verb, text=text[:500], by=by, **more)

    def refuse_unless(self, verb: str) -> None:
        """Locks the job; raises Refused where the verb is not possible now."""
        self.lock()
        if sentence := self.why_not(verb):
            raise Refused(sentence)

    def why_not(self, verb: str) -> str:
        """Why the verb is not possible now, in a sentence; empty where it is."""
        if self.deleting:
            return "The job is being deleted."
        if not self.allows(verb):
            return POSSIBLE[verb][1]
        if verb == "retry" and self.trying and not self.ended:
            return "Rows are being tried. Failed items can be tried again after that."
        if verb in ("resume", "retry") and not self.read_whole:
            return "The file was not read to its end before the job was cancelled. Make a new job of it."
        return ""

    def new_run(self, kind: str, items: int, by: Any, **more: Any) -> Run:
        """The next run, of a job that is locked."""
        number = self.runs.count() + 1
        policy = {name: getattr(self, name) for name in run_settings.POLICY}
        return Run.objects.create(
            job=self, number=number, kind=kind, items=items, by=by, parameters=self.protect(), policy=policy, **more
        )

    @transaction.atomic
    def start(self, by: Any = None) -> None:
        """Puts a job that is ready, and locked, into the queue; what a trial did already is kept."""
        run = self.new_run(Run.Kind.FIRST, self.counts()["pending"], by)
        self.move(JobState.QUEUED, run=run, **FIRST_ROUND)
        self.note("start", "Started", by, run=run)

    @transaction.atomic
    def try_out(self, positions: Sequence[int], by: Any = None) -> None:
        """Puts a job that is ready, and locked, into the queue for these items only; then it is ready again."""
        run = self.new_run(Run.Kind.TRIAL, len(positions), by, positions=list(positions))
        self.move(JobState.QUEUED, run=run, **FIRST_ROUND)
        self.note("try", f"Began to try {items(len(positions))}", by, run=run)

    @transaction.atomic
    def change(self, by: Any = None, **fields: Any) -> None:
        """Has the file read anew under other settings; the results of a trial are discarded.

        Requires the job and its shards locked. The rows of the former reading stay behind `total`, and whoever reads
        the file removes them.
        """
        fields["parameters"] = self.with_secrets(by, {"parameters": self.protect()} | fields)
        Upload.objects.filter(pk=self.upload_id).use()
        Attempt.objects.filter(job=self).delete()
        self.causes.all().delete()
        self.shards.all().delete()
        self.move(JobState.LOADING, **UNREAD, **fields)
        if "upload" in fields:
            fields["upload"].follow()
        self.announce(None)
        self.note("change", "Settings changed", by)

    @transaction.atomic
    def adjust(self, by: Any = None, **fields: Any) -> list[str]:
        """Changes some of its settings from now on, and returns what changed, in words; workers know within a second.

        A failure limit where there was none counts from now on: what failed before was not counted.
        """
        self.refuse_unless("adjust")
        before = self.settings
        told = run_settings.told(before, before | fields)
        if told:
            fresh = NEW_ROUND if self.started and not self.limit else {}
            Job.objects.filter(pk=self.pk).update(**fields, **fresh)
            self.announce()
        for text in told:
            self.note("adjust", text, by)
        return told

    # Its secrets

    def protect(self) -> dict[str, Any]:
        """Its parameters, with every secret encrypted; one that an earlier version stored as it was typed is now."""
        if self._encrypted() != self.parameters:
            with transaction.atomic():
                if self.pk:
                    self.lock()
                self.parameters = self._encrypted()
                Job.objects.filter(pk=self.pk).update(parameters=self.parameters)
        values: dict[str, Any] = self.parameters
        return values

    def _encrypted(self) -> dict[str, Any]:
        return parameters.stored(self.code, self.processor, self.parameters, self.parameters, self.owner_id)

    def secrets_for(self, processor: str) -> dict[str, Any]:
        """Its secrets as they are stored, if it stays with its processor."""
        if processor != self.processor or processor not in processors.names():
            return {}
        return {name: value for name, value in self.protect().items() if is_encrypted(value)}

    def with_secrets(self, by: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters among other `fields` of the job as they are to be stored; what `by` typed is encrypted.

        Raises Refused where a secret must be typed again.
        """
        if again := self.to_type_again(by, fields):
            raise Refused(" ".join(again.values()))
        processor, person = fields.get("processor", self.processor), self.owner_id if by is None else by.pk
        return parameters.stored(self.code, processor, fields["parameters"], self.parameters, person)

    def to_type_again(self, by: Any, fields: Mapping[str, Any]) -> dict[str, str]:
        """Which of its secrets must be typed again before these fields are other ones, each with a sentence.

        Requires it protected.
        """
        processor = fields.get("processor", self.processor)
        if processor not in processors.names():
            return {}
        values = fields.get("parameters", self.parameters)
        sent = [name for name in parameters.SENT if name in fields and fields[name] != getattr(self, name)]
        return parameters.to_type_again(
            processors.get(processor), self.parameters, values, None if by is None else by.pk, sent
        )

    def refuse_rows_of(self, by: Any) -> None:
        """Raises Refused where this person may not put other values into its rows: a secret goes along with them."""
        theirs = parameters.of_others(self.protect(), None if by is None else by.pk)
        if theirs:
            raise Refused(
                f"Somebody else typed “{theirs[0]}”, which is sent along with the rows, so you cannot change these. "
                "Retry with that parameter typed again first."
            )

    def set_up(self, by: Any, changed: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """Gives a job that is locked other settings, and one that has ended other parameters of its processor."""
        texts = run_settings.told(self.settings, {**self.settings, **changed})
        fields = dict(changed)
        if parameters:
            fields["parameters"] = self._other_parameters(by, parameters)
            texts.append(f"Changed the parameters {', '.join(sorted(parameters))}")
        if fields:
            Job.objects.filter(pk=self.pk).update(**fields)
            self.refresh_from_db()
        for text in texts:
            self.note("adjust", text, by)

    @property
    def fixed(self) -> str:
        """Why its parameters cannot be changed now; empty where they can."""
        if not self.ended or self.shards.leased().exists():
            return "Parameters can be changed once the job has ended: items that wait would run with them, too."
        return ""

    def _other_parameters(self, by: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
        if sentence := self.fixed:
            raise Refused(sentence)
        try:
            values = parameters.amended(self.processor, self.protect(), changed)
        except processors.ParameterError as error:
            raise Refused(str(error)) from error
        return self.with_secrets(by, {"parameters": values})

    @transaction.atomic
    def begin(self) -> None:
        """Notes that a worker turned to the job; the first one sets it running."""
        now = timezone.now()
        Job.objects.filter(pk=self.pk).update(served=now)
        self.move(JobState.RUNNING, started=self.started or now, since=now)

    @transaction.atomic
    def pause(self, by: Any = None, reason: Reason = NO_REASON) -> None:
        """No new item starts; what is in flight is still recorded."""
        self.refuse_unless("pause")
        self.move(JobState.PAUSED, reason=reason or Reason(Code.PERSON, f"Paused by {by or 'a person'}."))
        self.note("pause", reason.text or "Paused", by)

    @transaction.atomic
    def count_ends(self, ends: Iterable[End], limit_round: int) -> bool:
        """Counts how items ended, and pauses the job where the failure limit is reached; whether it did.

        Under the lock of the job's row: there is one pause, however many fail at once. What began in a round before
        the present one, in a job that was stopped meanwhile, or in a trial does not count. This object stays as it is:
        should the transaction have to be repeated, it must not know of the pause.
        """
        counted = list(ends) if self.limit else []
        if not counted:
            return False
        counting = Job.objects.select_for_update(no_key=True).filter(state__in=WORKABLE, limit_round=limit_round)
        job = counting.filter(pk=self.pk).first()
        if job is None or job.trying:
            return False
        tally = Tally.load(job.limit_tally)
        reason = job.limit.reached(tally, counted, first=not limit_round)
        Job.objects.filter(pk=self.pk).update(limit_tally=tally.dump())
        if reason:
            job.pause(reason=reason)
        return bool(reason)

    @transaction.atomic
    def resume(self, by: Any = None) -> None:
        """Goes on with what was not attempted. Requires the job locked. Raises Refused where nothing is left."""
        if not self.counts()["pending"]:
            raise Refused("Every item of this job has been attempted; there is nothing to go on with.")
        goes_on = self.run and not (self.trying and self.ended)
        run = self.run if goes_on else self.new_run(Run.Kind.FIRST, self.counts()["pending"], by)
        self.move(JobState.QUEUED, run=run, finished=None, **NEW_ROUND)
        self.note("resume", "Resumed", by, run=run)

    @transaction.atomic
    def cancel(self, by: Any = None) -> None:
        """Ends the job. What is in flight is still recorded; the rest stays as not attempted."""
        self.refuse_unless("cancel")
        self.move(JobState.CANCELLED, finished=timezone.now())
        self.note("cancel", "Cancelled", by)

    @transaction.atomic
    def finish(self) -> bool:
        """Ends the job, or its trial, if nothing is pending and no lease lives. Only the caller that did gets True."""
        self.lock()
        if self.trying and self.state in UNFINISHED:
            return self._finish_trial()
        if self.state not in UNFINISHED or self.shards.unfinished().exists():
            return False
        # What was never attempted waited while some items were tried again: the job is what it was before.
        held_back = self.shards.filter(pending__gt=0).exists()
        self.move(JobState.CANCELLED if held_back else JobState.FINISHED, finished=timezone.now())
        self.note("finish", "Finished what was to be tried again" if held_back else "Finished")
        return True

    def _finish_trial(self) -> bool:
        """The job is ready again. Nobody holds a shard then, as nobody may who finds it so."""
        tried = self.items.filter(position__in=cast(Run, self.run).positions)
        if self.shards.leased().exists() or tried.filter(state=ItemState.PENDING).exists():
            return False
        failed = tried.filter(state=ItemState.FAILED).count()
        self.move(JobState.READY)
        self.note("tried", f"{items(tried.count())} tried, {failed or 'none'} failed")
        return True
