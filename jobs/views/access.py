"""Fetch and authorise in one step: what a person may not see does not exist for them."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from jobs.models import Item, Job


def person(request: HttpRequest) -> User:
    """Whoever asks; the middleware has turned away everybody who is not signed in."""
    return cast(User, request.user)


def job_for(request: HttpRequest, code: str) -> Job:
    """The job, if this person may see it; 404 otherwise."""
    jobs = Job.objects.visible_to(request.user).select_related("upload", "owner", "run")
    return get_object_or_404(jobs, code=code)


def item_for(request: HttpRequest, code: str, row: int) -> Item:
    job = job_for(request, code)
    item = get_object_or_404(job.read_items().select_related("worker"), position=row - 1)
    item.job = job
    return item
