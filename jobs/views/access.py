"""Fetch and authorise in one step: what a person may not see does not exist for them."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from jobs.live.shapes import Frame
from jobs.models import Item, Job


def person(request: HttpRequest) -> User:
    """Whoever asks; the middleware has turned away everybody who is not signed in."""
    return cast(User, request.user)


def job_for(request: HttpRequest, code: str, *more: str) -> Job:
    """The job, if this person may see it, with `more` that belongs to it; 404 otherwise."""
    jobs = Job.objects.visible_to(request.user).select_related("upload", "owner", "run", *more)
    return get_object_or_404(jobs, code=code)


def job_to_act_on(request: HttpRequest, code: str) -> Job:
    """The job, if this person may press its buttons; 403 for whoever may only look. Raises PermissionDenied."""
    job = job_for(request, code)
    if not job.may_act(request.user):
        raise PermissionDenied(f"You may look at this job. {job.owner} may do this, and whoever {job.owner} lets act.")
    return job


def job_to_give(request: HttpRequest, code: str) -> Job:
    """The job, if this person may say whose it is and whether it stays; 403 for whoever may see it but not that.

    Raises PermissionDenied.
    """
    job = job_for(request, code)
    if not job.may_give(request.user):
        raise PermissionDenied(f"Only {job.owner}, whose job this is, and administrators may do this.")
    return job


def job_offered(request: HttpRequest, code: str) -> Job:
    """The job, if it is offered to this person, who may not see more of it before they take it; 404 otherwise."""
    offered = Job.objects.present().filter(offer__person=person(request)).select_related("owner")
    return get_object_or_404(offered, code=code)


def for_viewer(frame: Frame, may_act: bool) -> Frame:
    """A frame, which is the same for all viewers, with the verbs of this one."""
    return frame if may_act else {**frame, "actions": []}


def item_to_act_on(request: HttpRequest, code: str, row: int) -> Item:
    """The item, if this person may do something with it; 403 for whoever may only look."""
    job_to_act_on(request, code)
    return item_for(request, code, row)


def item_for(request: HttpRequest, code: str, row: int) -> Item:
    """The item, cut where it is too long for a page; 404 where there is none, or the job may not be seen.

    Raises Http404.
    """
    job = job_for(request, code)
    item = job.read_items().select_related("worker").filter(position=row - 1).for_page()
    if item is None:
        raise Http404("There is no such row.")
    item.job = job
    return item
