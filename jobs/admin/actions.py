"""What administrators do to jobs: one verb over several jobs, asked about first where it costs something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from jobs import actions
from jobs.admin.base import Looking
from jobs.humanize import counted, items, number
from jobs.live import status
from jobs.models import Cause, Job
from jobs.models import counts as models_counts
from jobs.models.job import JobQuerySet, Refused

MOST: Final = 1_000  # jobs at a time
SAID: Final = 20  # jobs of which each one's outcome is a message; of more the outcomes are counted
NOTHING_FAILED: Final = "There is no failed item to try again."

Counts = dict[str, int]


def to_retry(job: Job, counts: Counts) -> int:
    return counts["failed"] - counts["accepted"] + counts["not_attempted"]


def to_leave(job: Job, counts: Counts) -> int:
    return counts["waiting"] + counts["running"]


def all_of_them(job: Job, counts: Counts) -> int:
    return job.total


@dataclass(frozen=True)
class Verb:
    """An action on several jobs. With `yes` it is asked about first; `concerned` says how many items that is about."""

    name: str
    yes: str = ""
    warning: str = ""
    concerned: Callable[[Job, Counts], int] = all_of_them

    def question(self, jobs: int, concerned: int) -> str:
        if self.name == "retry":
            return f"Retry {items(concerned)} of {counted(jobs, 'job')}?"
        return f"{self.name.capitalize()} {counted(jobs, 'job')} with {items(concerned)}?"

    def refusal(self, job: Job, concerned: int) -> str:
        """Why it is not possible, as far as can be told beforehand."""
        if not job.allows(self.name):
            return actions.ACTIONS[self.name].refusal
        return NOTHING_FAILED if self.name == "retry" and not concerned else ""


RETRY: Final = Verb("retry", "Retry them", "Each item is processed once more, which may cost money.", to_retry)
PAUSE: Final = Verb("pause")
RESUME: Final = Verb("resume")
CANCEL: Final = Verb(
    "cancel", "Cancel them", "What has not been attempted stays so. Results so far are kept.", to_leave
)
DELETE: Final = Verb("delete", "Delete them", "Their items, results and files are removed for good.")


def carry_out(place: Looking, request: HttpRequest, chosen: QuerySet[Job], verb: Verb) -> HttpResponse | None:
    """The verb on each job, or first the question. What came of it is said, and noted in the admin's history."""
    keys = list(chosen.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    if len(keys) > MOST:
        place.message_user(request, f"Choose {MOST:,} jobs at most at a time.", messages.ERROR)
        return None
    jobs = Job.objects.present().filter(pk__in=keys).order_by("pk")
    if verb.yes and "sure" not in request.POST:
        return asked(place, request, jobs, verb)
    say(place, request, [(job, *outcome(place, request, job, verb)) for job in jobs])
    return back(request, verb)


def asked(place: Looking, request: HttpRequest, jobs: JobQuerySet, verb: Verb) -> HttpResponse:
    """The page that asks whether somebody is sure, with what the verb would do to each job."""
    rows = [row(job, counts, verb) for job, counts in with_counts(jobs)]
    able = [row for row in rows if not row["why"]]
    concerned = sum(row["concerned"] for row in able)
    context = place.page(
        request, verb.question(len(able), concerned) if able else "Nothing to do", verb=verb, rows=rows, able=able,
        action=request.POST["action"], page=request.POST.get("page", ""),
    )  # fmt: skip
    return render(request, "admin/jobs/job/confirm.html", context)


def with_counts(jobs: JobQuerySet) -> Iterable[tuple[Job, Counts]]:
    """Each job with its counts, and how many of its failed items were accepted: two queries for all."""
    found = list(jobs.with_counts())
    sums = Cause.objects.filter(job__in=found).values_list("job").annotate(Sum("accepted"))
    accepted = dict(sums.order_by())
    return [(job, models_counts.summary(job) | {"accepted": accepted.get(job.pk, 0)}) for job in found]


def row(job: Job, counts: Counts, verb: Verb) -> dict[str, Any]:
    concerned = verb.concerned(job, counts)
    return {
        "job": job,
        "state": job.state,
        "counts": counts,
        "reason": job.stopped_for.frame(),
        "label": status.label(job, counts),
        "concerned": concerned,
        "why": verb.refusal(job, concerned),
    }


def outcome(place: Looking, request: HttpRequest, job: Job, verb: Verb) -> tuple[str, bool]:
    """What came of it in a sentence, and whether it was done."""
    try:
        found = actions.ACTIONS[verb.name]
        text = found.done(found.run(job, request.user))
    except Refused as refusal:
        return str(refusal), False
    except Job.DoesNotExist:
        return "It is gone.", False
    place.log_change(request, job, text)
    return text, True


def say(place: Looking, request: HttpRequest, outcomes: Sequence[tuple[Job, str, bool]]) -> None:
    for job, text, done in outcomes[:SAID]:
        place.message_user(request, f"{job.name}: {text}", messages.SUCCESS if done else messages.WARNING)
    rest = Counter((text, done) for _, text, done in outcomes[SAID:])
    for (text, done), count in rest.items():
        level = messages.SUCCESS if done else messages.WARNING
        place.message_user(request, f"{counted(count, 'more job')}: {text}", level)


def back(request: HttpRequest, verb: Verb) -> HttpResponse | None:
    """To the job's page where the button was there; else the admin goes back to its list."""
    page = number(request.POST.get("page", ""))
    if verb is DELETE or page is None:
        return None
    return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[page]))


def action(name: str, words: str, verb: Verb) -> Callable[[Any, HttpRequest, QuerySet[Job]], HttpResponse | None]:
    """The verb as the admin lists it among its actions, for people who may act."""

    @admin.action(description=words, permissions=["act"])
    def act(place: Any, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return carry_out(place, request, jobs, verb)

    act.__name__ = name
    return act


ACTIONS: Final = (
    action("retry_failed", "Retry failed items", RETRY),
    action("pause", "Pause", PAUSE),
    action("resume", "Resume", RESUME),
    action("cancel", "Cancel", CANCEL),
    action("delete_jobs", "Delete", DELETE),
)
