"""What can be done to a job: pages, admin and commands call these functions, and nothing else changes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from jobs import events
from jobs.humanize import counted, items
from jobs.items import corrections
from jobs.items import trial as items_trial
from jobs.models import Job, JobState, Quota, Run, Upload, quota_limits
from jobs.models.job import NEW_ROUND, Refused
from jobs.models.parameters import MOVED, moved
from jobs.models.states import POSSIBLE
from jobs.store import requeue
from jobs.store import shards as store_shards
from jobs.store.requeue import CorrectedItem, Failures
from jobs.worker import broker

MINUTE: Final = timedelta(minutes=1)
LISTED: Final = 50_000  # more changed items than this are not listed for viewers, who fetch everything anew


def send_work(job: Job) -> None:
    """On commit, one wake-up for each task that the job is split over; none if nothing is left to do in it."""
    if job.finish():
        return
    transaction.on_commit(partial(broker.send_each, broker.WORK, job.most_tasks))


@transaction.atomic
def submit(upload: Upload, owner: Any, *, start: bool = True, **fields: Any) -> Job:
    """Makes a job in `loading`. With `start` it goes on by itself once the file is read. Raises OverQuota."""
    room_for_job(owner)
    quota_limits.pace(owner.pk, Job.objects.filter(owner=owner, created__gt=timezone.now() - MINUTE))
    fields.setdefault("name", upload.name)
    job = Job(upload=upload, owner=owner, autostart=start, **fields)
    job.protect()
    job.save(force_insert=True)
    job.note("create", f"Created from {upload.name}", owner)
    Quota.room_for_rows(owner, 0)
    transaction.on_commit(partial(broker.send, broker.LOAD, job.pk))
    return job


def room_for_job(owner: Any) -> None:
    """Raises OverQuota where this person may have no more jobs that have not ended. Requires a transaction."""
    quota_limits.room_for_job(owner, Job.objects.unfinished_of(owner), Quota.of(owner).jobs)


@transaction.atomic
def start(job: Job, by: Any = None) -> None:
    store_shards.lock_job_shards(job.pk)
    job.refuse_unless("start")
    _enter(job)
    _let_go(job)
    job.start(by)
    send_work(job)


@transaction.atomic
def trial(job: Job, by: Any = None, rows: str = "first", count: int = 10, chosen: Sequence[int] = ()) -> int:
    """Works on a few rows of a job that is ready: the first, random or chosen ones (from 1); returns how many.

    Raises Refused also where these cannot be tried. Only shards with rows of the trial may be worked on meanwhile.
    """
    store_shards.lock_job_shards(job.pk)
    job.refuse_unless("try")
    _enter(job)
    _let_go(job)
    positions = items_trial.pick(job, rows, count, chosen)
    requeue.hold_back(job.pk, positions)
    job.try_out(positions, by)
    Quota.refuse_beyond(job.owner)
    send_work(job)
    return len(positions)


@transaction.atomic
def change(job: Job, by: Any = None, *, start: bool = False, **fields: Any) -> None:
    """Has the file read anew under other settings; see `Job.change`.

    Whoever changes it says which file they mean, for it may have another one meanwhile.
    """
    store_shards.lock_job_shards(job.pk)
    job.refuse_unless("change")
    _enter(job)
    if fields.get("upload") == job.upload:
        del fields["upload"]
    job.change(by, autostart=start, **fields)
    Quota.refuse_beyond(job.owner)
    transaction.on_commit(partial(broker.send, broker.LOAD, job.pk))


def _enter(job: Job) -> None:
    """Refuses a job that does not wait or run yet where its owner has as many of these as one may have."""
    try:
        room_for_job(job.owner)
    except quota_limits.OverQuota as error:
        raise Refused(str(error)) from error


def _let_go(job: Job) -> None:
    """What a trial or a retry of some items held back may be worked on. Requires the job and its shards locked."""
    alone = job.runs.filter(Q(kind=Run.Kind.TRIAL) | Q(held_back__gt=0))
    if tried := list(alone.values_list("positions", flat=True)):
        requeue.let_go(job.pk, list(chain.from_iterable(tried)))


@transaction.atomic
def resume(job: Job, by: Any = None) -> None:
    store_shards.lock_job_shards(job.pk)
    job.refuse_unless("resume")
    if job.ended:
        _enter(job)
        _let_go(job)
    job.resume(by)
    Quota.refuse_beyond(job.owner)
    send_work(job)


@transaction.atomic
def adjust(job: Job, by: Any = None, **settings: Any) -> list[str]:
    """Changes how a job runs from now on; see `Job.adjust`. More workers may be more than one task needs."""
    told = job.adjust(by, **settings)
    if told:
        Quota.refuse_beyond(job.owner)
    if told and job.workable:
        send_work(job)
    return told


# They need nobody to be sent to work, so the job does them alone.
pause, cancel = Job.pause, Job.cancel


@transaction.atomic
def delete(job: Job, by: Any = None) -> None:
    """Ends the job and takes it out of sight. Its rows and files go in chunks, by `retention.erase`.

    No shard keeps its token, and the reader of the file neither: what somebody still writes for it finds no row.
    """
    shards = store_shards.lock_job_shards(job.pk)
    job.refuse_unless("delete")
    if job.allows("cancel"):
        job.cancel(by)
    for shard in shards:
        store_shards.save_shard(shard, **store_shards.given_back(None))
    Job.objects.filter(pk=job.pk).update(deleting=timezone.now(), load_token="", load_expires=None)
    job.announce()


# What failed


@transaction.atomic
def retry(
    job: Job, by: Any = None, cause: int | None = None, *, positions: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None, parameters: Mapping[str, Any] | None = None,
    seen: Mapping[str, Any] | None = None,
) -> int:  # fmt: skip
    """Tries failed items again: of a cause, at some positions, or all that nobody accepted; returns how many.

    In an ended job also what was never attempted, where it is asked for or everything is. `settings` and `parameters`
    change how the job runs from now on; `seen` are parameters as whoever asks for it saw them. Pressed twice or by two
    people, each item is taken once: who comes second is refused for want of failed items. Raises Refused.
    """
    failures = Failures(cause, positions)
    # The shards come first, so that nothing fails or finishes between the counting and the new run.
    store_shards.lock_job_shards(job.pk)
    _enter_again(job)
    _refuse_unseen(job, seen or {}, parameters or {})
    job.set_up(by, settings or {}, parameters or {})
    words = _words(job, failures)
    waiting = requeue.waiting(job.pk, positions) if job.ended and positions and not cause else []
    taken = requeue.retry(job.pk, failures)
    chosen = None if failures.all else taken + waiting
    count = _go_on(job, Run.Kind.RETRY, by, taken, chosen)
    if not count:
        raise Refused(_nothing_failed(job, failures))
    job.note("retry", f"Retried {words or items(count)}{f': {items(count)}' if cause else ''}", by, run=job.run)
    Quota.refuse_beyond(job.owner)
    return count


@transaction.atomic
def correct(
    job: Job,
    fixed: Iterable[CorrectedItem],
    by: Any = None,
    *,
    again: Sequence[int] = (),
    upload: Upload | None = None,
) -> int:
    """Puts fixed payloads in place of those of items that failed or were rejected, and tries them; returns how many.

    With them the failed items at the positions `again`, as they are. `upload` is the file that it came from. In an
    ended job also what was never attempted can be fixed. Raises Refused.
    """
    store_shards.lock_job_shards(job.pk)
    _enter_again(job)
    job.refuse_rows_of(by)
    waiting = job.ended and not job.shards.leased().exists()
    run = job.new_run(Run.Kind.CORRECTION, 0, by, upload=upload)
    if upload:
        upload.follow()
    corrected = requeue.correct(job.pk, run.pk, fixed, waiting=waiting)
    taken = sorted({*corrected, *(requeue.retry(job.pk, Failures(positions=again)) if again else ())})
    if not taken:
        raise Refused("None of these rows has failed or was rejected, so there is nothing to correct.")
    Quota.refuse_beyond(job.owner)
    _go_on(job, run, by, taken, taken)
    job.note("correct", _corrected(corrected, len(taken), upload), by, run=run)
    return len(taken)


def correct_from(job: Job, upload: Upload, by: Any = None, *, unchanged: bool = False) -> int:
    """Corrects what the rows of a stored file correct, see `fixing`; with `unchanged` the others are tried, too.

    Raises Refused also where it is no such file.
    """
    # All of it is read before anybody is kept from the job's shards.
    with corrections.changes(job, upload, by.pk if by else None) as found:
        return correct(job, found.fixed(), by, again=found.unchanged if unchanged else (), upload=upload)


@transaction.atomic
def accept(
    job: Job, by: Any = None, cause: int | None = None, *, positions: Sequence[int] | None = None, accepted: bool = True
) -> int:
    """Notes that these failures are known and may stay, or takes that back; returns of how many items.

    They are failed still, and counted so; only who retries everything that failed leaves them out. Raises Refused.
    """
    failures = Failures(cause, positions)
    store_shards.lock_job_shards(job.pk)
    job.refuse_unless("accept")
    count = requeue.accept(job.pk, failures, accepted)
    if not count:
        raise Refused(
            f"There is no {'' if accepted else 'accepted '}failure to {'accept' if accepted else 'take back'}."
        )
    job.announce()
    words = _words(job, failures) or items(count)
    verb = "Accepted the failure of" if accepted else "No longer accepts the failure of"
    job.note("accept", f"{verb} {words}{f': {items(count)}' if cause else ''}", by)
    Quota.refuse_beyond(job.owner)
    return count


def _refuse_unseen(job: Job, seen: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Refuses to send secrets along with other parameters than the person saw. Requires the job locked."""
    if names := moved(job.processor, seen, job.parameters, changed):
        raise Refused(MOVED.format(names[0]))


def _enter_again(job: Job) -> None:
    """Refuses a job that nothing can be tried again in; one that has ended begins to count among its owner's."""
    job.refuse_unless("retry")
    if job.ended:
        _enter(job)
        _let_go(job)


def _go_on(job: Job, run: Run | Run.Kind, by: Any, taken: Sequence[int], chosen: Sequence[int] | None) -> int:
    """Sends workers after items that have been made pending, those of `taken`; returns how many will be tried.

    Of an ended job only the `chosen` ones, and all that is pending where that is None.
    """
    count = job.counts()["pending"] if job.ended and chosen is None else len(taken if chosen is None else chosen)
    if not count:
        return 0
    if not isinstance(run, Run):
        run = job.new_run(run, count, by)
    held_back = _hold_back(job, chosen) if job.ended and chosen is not None else 0
    run.items, run.positions, run.held_back = count, list(chosen or ()) if held_back else [], held_back
    run.save(update_fields=["items", "positions", "held_back"])
    if job.ended:
        job.move(JobState.QUEUED, run=run, finished=None, spent=0.0, **NEW_ROUND)
    else:
        Job.objects.filter(pk=job.pk).update(run=run, **NEW_ROUND)
    job.announce(events.encode(dict.fromkeys(taken, 0)) if len(taken) <= LISTED else None)
    send_work(job)
    return count


def _hold_back(job: Job, chosen: Sequence[int]) -> int:
    """Lets whatever else was never attempted wait, and returns how many items these are."""
    others = job.counts()["pending"] - len(chosen)
    if others:
        if job.shards.leased().exists():
            raise Refused("Items of this job are still in flight. Try again once they have come back.")
        requeue.hold_back(job.pk, chosen)
    return others


def _words(job: Job, failures: Failures) -> str:
    """Which items were chosen, for the activity; nothing where it is all of them."""
    if failures.positions is not None:
        rows = failures.positions
        return f"row {rows[0] + 1:,}" if len(rows) == 1 else f"{items(len(rows))} that were chosen"
    if failures.cause is None:
        return ""
    cause = job.causes.filter(pk=failures.cause).first()
    if cause is None:
        raise Refused("This job has no such cause.")
    return f"“{cause}”"


def _nothing_failed(job: Job, failures: Failures) -> str:
    """Why nothing can be tried again."""
    accepted = sum(job.causes.values_list("accepted", flat=True)) if failures.all else 0
    if not accepted:
        return "There is no failed item to try again."
    return f"No other item has failed; {items(accepted)} whose failure is accepted can be tried by their cause."


def _corrected(corrected: Sequence[int], count: int, upload: Upload | None) -> str:
    if upload:
        return f"Uploaded corrections of {items(len(corrected))}, {items(count)} tried again"
    return f"Edited row {corrected[0] + 1:,}" if len(corrected) == 1 else f"Edited {items(len(corrected))}"


def queued_again(count: int) -> str:
    """What a retry did."""
    return f"{count:,} items queued again." if count != 1 else "1 item queued again."


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done to a job: its page, the admin, commands and programs read it in `ACTIONS`.

    `run` takes the job, who asks, and more; it raises Refused. `done` says what came of it, of what `run` returned, and
    `note` what to know then. With `owner` it is for the owner and staff that may act, not for people who may act only.
    """

    name: str
    run: Callable[..., Any]
    done: Callable[[Any], str]
    note: str = ""
    owner: bool = False

    @property
    def states(self) -> tuple[JobState, ...]:
        """The states of a job in which it is possible."""
        return POSSIBLE[self.name][0]

    @property
    def refusal(self) -> str:
        """What is said in the others."""
        return POSSIBLE[self.name][1]


def _said(sentence: str) -> Callable[[Any], str]:
    return lambda _: sentence


def _adjusted(told: Sequence[str]) -> str:
    return " ".join(f"{text}." for text in told) or "Nothing was changed."


ACTIONS: Final[Mapping[str, Action]] = {
    one.name: one
    for one in (
        Action("start", start, _said("Started.")),
        Action("try", trial, lambda count: f"Trying {counted(count)}."),
        Action("change", change, _said("Settings changed.")),
        Action("adjust", adjust, _adjusted),
        Action("pause", pause, _said("Paused."), "What is in flight is still recorded."),
        Action("resume", resume, _said("Resumed.")),
        Action("cancel", cancel, _said("Cancelled."), "The results so far are kept."),
        Action("retry", retry, queued_again),
        Action("accept", accept, lambda count: f"{items(count)} accepted."),
        Action("delete", delete, _said("Deleted."), owner=True),
    )
}
