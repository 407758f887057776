from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs import actions
from jobs.models import Job, JobState
from jobs.models.job import Refused
from jobs.models.states import ARROWS, ENDED, POSSIBLE, ItemState, sources
from tests.base import csv_of, loaded
from tests.steps import part_done, recorder_for, wrong
from tests.verbs import ALLOWED, ASKED, PAIRS, REFUSED, TABLE, everything, job_in


@pytest.mark.parametrize(("state", "verb"), ALLOWED)
def test_it_allows(state: str, verb: str, alice: User, sent: list[str]) -> None:
    job = job_in(state, alice)
    before = everything(job)
    actions.ACTIONS[verb].run(job, alice, **ASKED.get(verb, {}))
    job.refresh_from_db()
    assert job.state == TABLE[verb][state]
    assert everything(job) != before


@pytest.mark.parametrize(("state", "verb"), REFUSED)
def test_it_refuses_and_changes_nothing(
    state: str, verb: str, alice: User, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    job = job_in(state, alice)
    before = everything(job)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(Refused) as refusal:
        actions.ACTIONS[verb].run(job, alice)
    assert str(refusal.value) == POSSIBLE[verb][1]
    assert everything(job) == before
    assert sent == []


@pytest.mark.parametrize(("verb", "sentence"), [(verb, sentence) for verb, (_, sentence) in POSSIBLE.items()])
def test_it_has_a_sentence_for_each_refusal(verb: str, sentence: str) -> None:
    assert bool(re.fullmatch(r"[A-Z].*\.", sentence)) == (len(TABLE[verb]) < len(JobState))


@pytest.mark.parametrize("state", JobState)
def test_it_takes_a_deleted_job_out_of_every_hand(state: JobState, alice: User) -> None:
    job = loaded(alice, csv_of(4))
    recorder_for(job)
    Job.objects.filter(pk=job.pk).update(state=state)
    actions.delete(job, alice)
    job.refresh_from_db()
    assert job.deleting
    assert not Job.objects.visible_to(alice).exists()
    assert not job.shards.exclude(token="", claimed="[]", running=0).exists()


@pytest.mark.parametrize("state", JobState)
def test_it_deletes_once(state: JobState, alice: User) -> None:
    job = job_in(state, alice)
    actions.delete(job, alice)
    before = everything(job)
    with pytest.raises(Refused, match=r"^The job is being deleted\.$"):
        actions.delete(job, alice)
    assert everything(job) == before


@pytest.mark.parametrize(("state", "verb"), PAIRS)
def test_it_offers_just_what_it_allows(state: str, verb: str) -> None:
    assert Job(state=state).allows(verb) == (state in TABLE[verb])


@pytest.mark.parametrize("state", JobState.values)
@pytest.mark.parametrize("to", JobState.values)
def test_it_moves_along_arrows_only(state: str, to: str, alice: User) -> None:
    job = job_in(state, alice)
    assert job.move(JobState(to)) == (to in ARROWS[JobState(state)])
    job.refresh_from_db()
    assert job.state == (to if to in ARROWS[JobState(state)] else state)


@pytest.mark.parametrize("state", JobState)
def test_it_says_of_each_arrow_when_it_is_taken(state: JobState) -> None:
    assert all(len(when) > 10 for when in ARROWS[state].values())


@pytest.mark.parametrize("state", JobState)
def test_it_leads_every_state_to_an_end(state: JobState) -> None:
    reached, new = {state}, {state}
    while new := {target for one in new for target in ARROWS[one]} - reached:
        reached |= new
    assert reached & set(ENDED)


def test_it_knows_where_an_arrow_comes_from() -> None:
    assert sources(JobState.RUNNING) == [JobState.QUEUED]


def test_it_moves_once_from_two_stale_copies(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    other = Job.objects.get(pk=job.pk)
    assert job.move(JobState.PAUSED)
    assert not other.move(JobState.PAUSED)


def test_it_moves_only_from_the_states_named(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    assert not job.move(JobState.CANCELLED, only=[JobState.READY])


def test_it_numbers_item_states_like_frames() -> None:
    assert [int(state) for state in ItemState] == [0, 2, 3, 4]


def test_it_refuses_to_resume_when_nothing_is_left(alice: User, sent: list[str]) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.PAUSED)
    with pytest.raises(Refused, match="nothing to go on with"):
        actions.resume(job, alice)


@pytest.mark.parametrize("verb", ["resume", "retry"])
def test_it_refuses_to_run_half_a_file(verb: str, alice: User, sent: list[str]) -> None:
    job = loaded(alice, csv_of(4), start=False)
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED, load_token="somebody")
    with pytest.raises(Refused, match="not read to its end"):
        actions.ACTIONS[verb].run(job, alice)


def test_it_finishes_a_paused_job_that_has_nothing_left(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.PAUSED)
    assert job.finish()
    assert (job.state, wrong(job)) == (JobState.FINISHED, [])


def test_it_finishes_once(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    part_done(job)
    assert job.finish()
    assert not Job.objects.get(pk=job.pk).finish()
