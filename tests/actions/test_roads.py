"""Each verb in each state by each road on which a person sends it: page, admin, terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Job
from jobs.models.states import POSSIBLE
from tests.management.terminals import run
from tests.verbs import ALLOWED, ASKED, REFUSED, TABLE, everything, job_in

# What a person reads who sends the verb to the job.
Road = Callable[[str, Job, Client], str]
ACTIONS: Final = {"retry": "retry_failed", "accept": "accept_all", "delete": "delete_jobs"}
SENTENCES: Final = [sentence for _, sentence in POSSIBLE.values() if sentence]


def page(verb: str, job: Job, client: Client) -> str:
    return client.post(f"/jobs/{job.code}/{verb}/", ASKED.get(verb, {}), follow=True).content.decode()


def admin(verb: str, job: Job, client: Client) -> str:
    form = {"action": ACTIONS.get(verb, verb), "_selected_action": [job.pk], "sure": "yes"}
    # Failures are accepted where the items of a job are listed.
    path = f"/admin/jobs/item/?job={job.code}" if verb == "accept" else "/admin/jobs/job/"
    return client.post(path, form, follow=True).content.decode()


def terminal(verb: str, job: Job, client: Client) -> str:
    done = run(verb, job.code, *(f"--{name}={value}" for name, value in ASKED.get(verb, {}).items()))
    assert done.status == (2 if done.err else 0)
    return done.err or done.out


# A job is changed on its page, and started there or in a terminal, which removes jobs by their age.
ROADS: Final[dict[Road, set[str]]] = {
    page: set(TABLE) - {"change"},
    admin: set(TABLE) - {"start", "try", "change", "adjust"},
    terminal: set(TABLE) - {"delete", "change"},
}


def by_road(pairs: list[tuple[str, str]]) -> list[Any]:
    return [
        pytest.param(road, state, verb, id=f"{road.__name__}-{state}-{verb}")
        for road, verbs in ROADS.items()
        for state, verb in pairs
        if verb in verbs
    ]


@pytest.fixture
def sam(client: Client, db: None) -> User:
    """Is signed in, and may do everything."""
    sam = User.objects.create_superuser("sam")
    client.force_login(sam)
    return sam


@pytest.mark.parametrize(("road", "state", "verb"), by_road(ALLOWED))
def test_it_does_what_is_allowed(road: Road, state: str, verb: str, sam: User, client: Client) -> None:
    job = job_in(state, sam)
    before = everything(job)
    said = road(verb, job, client)
    job.refresh_from_db()
    assert job.state == TABLE[verb][state]
    assert everything(job) != before
    assert not any(sentence in said for sentence in SENTENCES)


@pytest.mark.parametrize(("road", "state", "verb"), by_road(REFUSED))
def test_it_says_why_not_and_changes_nothing(road: Road, state: str, verb: str, sam: User, client: Client) -> None:
    job = job_in(state, sam)
    before = everything(job)
    assert POSSIBLE[verb][1] in road(verb, job, client)
    assert everything(job) == before
