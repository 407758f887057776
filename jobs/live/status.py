"""How jobs stand and why they wait: from the heartbeats, the keeper's notes and the order of turns in the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from django.db.models import Exists, Sum
from django.db.models.functions import Now
from django.utils import timezone

from jobs.humanize import counted, items, ordinal
from jobs.models import Job, JobState, Part, Shard, Worker
from jobs.models.part import BROKER
from jobs.models.reason import NO_REASON, Code, Reason
from jobs.models.shard import ShardQuerySet
from jobs.models.states import UNFINISHED, WORKABLE
from jobs.models.worker import SEEN_WITHIN, WorkerQuerySet

TOLD_FOR: Final = timedelta(seconds=30)  # how long a page says what went back to the queue
LAST: Final = "the last one stays free for everybody else."
BROKER_AWAY: Final = Reason(Code.BROKER_AWAY, "The broker cannot be reached; trying again.")
THROTTLED: Final = Reason(Code.THROTTLED, "The service asks to wait.")
VERBS: Final = ("start", "try", "change", "pause", "resume", "retry", "accept", "cancel", "adjust")


def ago(moment: datetime) -> str:
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    return f"{seconds:,} s ago" if seconds < 120 else f"{seconds // 60:,} min ago"


def trouble(workers: WorkerQuerySet) -> Reason:
    """That none of them lives or that the broker is away, where it is so."""
    away = workers.alive().values_list(Exists(Part.away(BROKER)), flat=True).first()
    if away is not None:
        return BROKER_AWAY if away else NO_REASON
    last = workers.order_by("-seen").first()
    seen = f"; the last one was seen {ago(last.seen)}" if last else ""
    return Reason(Code.NO_WORKER, f"No worker is running{seen}. The job waits.")


def unheard(shards: ShardQuerySet) -> ShardQuerySet:
    """What workers hold that have not been heard of."""
    return shards.leased().filter(worker__seen__lt=Now() - SEEN_WITHIN)


class SystemStatus:
    """What surrounds jobs at one moment. Each thing is read when it is first asked for, once for all of them."""

    def trouble(self, job: Job) -> Reason:
        """Why no job can go on, or no file of one be read."""
        return self._nobody_reads if job.state == JobState.LOADING else self._nobody_works

    @cached_property
    def _nobody_works(self) -> Reason:
        return trouble(Worker.objects.of("work"))

    @cached_property
    def _nobody_reads(self) -> Reason:
        return trouble(Worker.objects.of("load"))

    @cached_property
    def _most(self) -> int:
        return Worker.objects.of("work").for_one()

    @cached_property
    def _tasks(self) -> dict[int, int]:
        return {}

    @cached_property
    def _places(self) -> dict[int, int]:
        return {job.pk: place for place, job in enumerate(Job.objects.in_turn(), 1)}

    def place(self, job: Job) -> Reason:
        """Where a job stands among those that wait, in the order in which they will be served."""
        if place := self._places.get(job.pk):
            return Reason(Code.IN_LINE, f"Queued, {ordinal(place)} in line.")
        return self.kept(job) or Reason(Code.IN_LINE, "Waiting for a worker.")

    def kept(self, job: Job) -> Reason:
        """That the job waits because its owner has all processes but the one that is kept for others."""
        if job.owner_id not in self._tasks:
            self._tasks[job.owner_id] = Shard.objects.tasks_of(job.owner_id)
        tasks, most = self._tasks[job.owner_id], self._most
        if tasks < most:
            return NO_REASON
        used = f"{tasks:,} of {most + 1:,} worker processes"
        return Reason(Code.OWN_JOBS, f"Waiting: other jobs of the same person use {used}; {LAST}")

    def silent(self, job: Job) -> Reason:
        """Which worker that holds items of the job has not been heard of."""
        held = unheard(job.shards.all()).values_list("worker__name", "worker__seen")
        found = held.annotate(items=Sum("running")).order_by("-items").first()
        if not found:
            return NO_REASON
        name, seen, count = found
        text = f"Worker {name} was last seen {ago(seen)}; its {items(count)} will go back to the queue."
        return Reason(Code.WORKER_SILENT, text)

    def returned(self, job: Job) -> Reason:
        """What went back to the queue a moment ago, and from whom."""
        lately = job.activities.filter(verb="recover", at__gte=timezone.now() - TOLD_FOR)
        noted = lately.select_related("silent").first()
        if not noted:
            return NO_REASON
        if not noted.silent:
            return Reason(Code.RETURNED, f"{noted}.")
        back = f"{items(noted.items)} went back to the queue."
        return Reason(Code.RETURNED, f"Worker {noted.silent} was last seen {ago(noted.silent.seen)}; {back}")


def label(job: Job, counts: dict[str, int], asked: float | None = None) -> str:
    """The state in one or two words; a job that stops but still has items in flight says so.

    `asked` is for how many seconds its service asks to wait.
    """
    if job.state in WORKABLE and (tried := trying(job)):
        return f"Trying {counted(tried)}"
    if asked and job.state == JobState.RUNNING:
        return "Throttled"
    if counts["running"] and job.state == JobState.PAUSED:
        return "Pausing"
    if counts["running"] and job.state == JobState.CANCELLED:
        return "Cancelling"
    if job.state == JobState.FINISHED and (counts["failed"] or counts["rejected"]):
        return "Finished with failures" if counts["succeeded"] else "Failed"
    return str(job.get_state_display())


def actions(job: Job, counts: dict[str, int]) -> list[str]:
    """The verbs that make sense now, in the order of the buttons."""
    left = counts["waiting"] + counts["not_attempted"] + counts["running"]
    tried = counts["succeeded"] + counts["failed"]
    # Neither while rows are tried nor while what was cancelled is still in flight.
    fixable = not trying(job) and not (job.ended and counts["running"])
    sense = {
        "start": left or tried,
        "try": left,
        "retry": fixable and (counts["failed"] or (job.ended and left)),
        "accept": fixable and counts["failed"],
        "resume": left,
        "adjust": left,
    }
    verbs = [verb for verb in VERBS if job.allows(verb) and sense.get(verb, True)]
    return verbs + offers(job, tried, fixable and counts["failed"] + counts["rejected"])


def offers(job: Job, tried: int, bad: int) -> list[str]:
    """What else there is: results to take home, bad rows to fix, the same file once more where it was not changed."""
    known = job.state not in (JobState.LOADING, JobState.INVALID)
    there = {
        "results": known and (tried or job.state == JobState.FINISHED),
        "correct": bad and job.allows("retry") and job.read_whole,
        "again": known and job.state != JobState.READY and (job.started or job.ended),
    }
    return [name for name, is_there in there.items() if is_there]


def trying(job: Job) -> int:
    """How many rows are being tried before the job as a whole is started."""
    return job.run.items if job.run and job.trying and job.state in UNFINISHED else 0


def why(job: Job, counts: dict[str, int], leased: bool, around: SystemStatus | None = None) -> Reason:
    """Why a job that could go on does not; none where it does."""
    if job.state not in (JobState.LOADING, *WORKABLE):
        return NO_REASON
    around = around or SystemStatus()
    if counts["running"]:
        return around.silent(job) or around.returned(job)
    return around.trouble(job) or waits(job, counts, leased, around) or around.returned(job)


def waits(job: Job, counts: dict[str, int], leased: bool, around: SystemStatus) -> Reason:
    """What a job waits for though all is well."""
    if job.state == JobState.QUEUED:
        return around.place(job)
    if job.state != JobState.RUNNING or not counts["waiting"]:
        return NO_REASON
    if counts["retrying"] and (trying(job) or counts["waiting"] == counts["retrying"]):
        return Reason(Code.NEXT_ATTEMPT, "What is left waits for its next attempt.")
    if leased:
        return NO_REASON
    return around.returned(job) or around.kept(job) or Reason(Code.OTHER_JOBS, "Other jobs have their turn.")
