"""Who else may see a job, whose it is, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from batchweb.accounts import throttling
from jobs.models import Job, Share
from jobs.models.job import Refused
from jobs.models.permissions import may_move
from jobs.models.sharing import person_called
from jobs.views.access import job_for, job_offered, job_to_act_on, job_to_give, person

NOTHING = "Nothing was changed."
PEOPLE: Final = throttling.Rule(30, 30, 300)  # names that nobody has, which one person may ask for


def told(request: HttpRequest, job: Job, verb: Callable[[], str]) -> HttpResponse:
    """Does it, and says on the job's page what came of it; on the list where the job is not theirs any more."""
    try:
        messages.success(request, verb() or NOTHING)
    except Refused as refusal:
        messages.error(request, str(refusal))
    seen = Job.objects.visible_to(request.user).filter(pk=job.pk).exists()
    return redirect(job if seen else "jobs:list")


def person_asked(request: HttpRequest) -> User:
    """The person that `person` names. Raises Refused, also for who asks for too many names that nobody has."""
    attempt = throttling.try_of("people", str(person(request).pk), PEOPLE)
    if attempt.until:
        raise Refused(attempt.sentence)
    found: User = person_called(request.POST.get("person", ""))
    attempt.right()
    return found


@require_POST
def share(request: HttpRequest, code: str) -> HttpResponse:
    """Wants `person`, a user name or e-mail address, and `may` (look or act)."""
    job = job_to_give(request, code)

    def verb() -> str:
        found, may_act = person_asked(request), request.POST.get("may") == "act"
        changed = job.share(found, may_act, person(request))
        return f"Shared with {found}, who may {'act' if may_act else 'look'}." if changed else ""

    return told(request, job, verb)


@require_POST
def unshare(request: HttpRequest, code: str, key: int) -> HttpResponse:
    """Takes a share back: whoever may share does that, and everybody for themselves."""
    own = Share.objects.filter(pk=key, person=person(request)).exists()
    job = (job_for if own else job_to_give)(request, code)
    found = get_object_or_404(job.shares.select_related("person"), pk=key).person

    def verb() -> str:
        return f"No longer shared with {found}." if job.unshare(found, person(request)) else ""

    return told(request, job, verb)


@require_POST
def give(request: HttpRequest, code: str) -> HttpResponse:
    """Wants `person`, the new owner, who is asked first unless an administrator gives it."""
    job = job_to_give(request, code)

    def verb() -> str:
        found = person_asked(request)
        if may_move(request.user):
            return f"{job.name} belongs to {found} now." if job.give(found, person(request)) else ""
        offered = job.offer_to(found, person(request))
        return f"{job.name} is offered to {found}, whose it is once they take it." if offered else ""

    return told(request, job, verb)


@require_POST
def withdraw(request: HttpRequest, code: str) -> HttpResponse:
    """Takes an offer back."""
    job = job_to_give(request, code)
    return told(request, job, lambda: "The job is offered to nobody any more." if job.withdraw(person(request)) else "")


@require_POST
def take(request: HttpRequest, code: str) -> HttpResponse:
    """The job becomes the person's to whom it was offered."""
    job = job_offered(request, code)

    def verb() -> str:
        job.take(person(request))
        return f"{job.name} is yours now."

    return told(request, job, verb)


@require_POST
def decline(request: HttpRequest, code: str) -> HttpResponse:
    """Nor does it, where they do not want it."""
    job = job_offered(request, code)

    def verb() -> str:
        job.decline(person(request))
        return f"{job.name} stays with {job.owner}."

    return told(request, job, verb)


@require_POST
def rename(request: HttpRequest, code: str) -> HttpResponse:
    """Wants `name`."""
    job = job_to_act_on(request, code)
    name = request.POST.get("name", "")
    return told(request, job, lambda: f"The job is called {job.name} now." if job.rename(name, person(request)) else "")
