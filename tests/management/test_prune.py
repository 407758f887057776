"""`manage.py prune`."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.models import Attempt, Item, Job
from tests.base import csv_of, worked

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    job = worked(User.objects.create(username="alice"), csv_of(3, lambda at: "fail:E"))
    Job.objects.update(finished=timezone.now() - timedelta(days=40))
    return job


def prune(*options: str) -> str:
    out = io.StringIO()
    call_command("prune", *options, stdout=out)
    return out.getvalue()


def test_it_removes_old_jobs(job: Job) -> None:
    assert prune("--older-than=30d") == f"{job.code}  rows.csv  3 items\n1 job removed.\n"
    assert not Job.objects.exists()


def test_it_leaves_newer_jobs(job: Job) -> None:
    assert prune("--older-than=6w") == "0 jobs removed.\n"
    assert Job.objects.exists()


def test_it_keeps_results(job: Job) -> None:
    assert prune("--older-than=30d", "--keep-results").endswith("1 job reduced to their results.\n")
    assert (Item.objects.count(), Attempt.objects.count()) == (3, 0)


def test_it_says_what_would_go(job: Job) -> None:
    assert prune("--older-than=30d", "--dry-run").endswith("1 job would be removed.\n")
    assert Job.objects.exists()


def test_it_refuses_nonsense_with_a_sentence(job: Job) -> None:
    with pytest.raises(CommandError, match="is no duration"):
        prune("--older-than=soon")
