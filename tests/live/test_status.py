"""Why a job waits: what the heartbeats, the keeper's notes and the order of turns say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs import actions, engine
from jobs.humanize import ordinal
from jobs.live import eta, job_list, status
from jobs.live import frame as live_frame
from jobs.live.status import BROKER_AWAY, SystemStatus
from jobs.maintenance import keeper
from jobs.models import Job, Part, Worker, latency_histogram
from jobs.models.part import BROKER
from jobs.models.reason import Code, Reason
from jobs.worker import broker, recovery
from tests.base import csv_of, loaded, make_job
from tests.steps import die, feed, recorder_for, success


def why(job: Job) -> str:
    job.refresh_from_db()
    return re.sub(r"\b([24])\d s ago", r"\g<1>x s ago", str(live_frame.stats(job)["why"]))


def silence(name: str, seconds: int) -> None:
    Worker.objects.filter(name=name).update(seen=timezone.now() - timedelta(seconds=seconds))


def test_it_counts_in_words() -> None:
    said = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111, 1001)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th", "1,001st"]


def test_it_says_that_no_worker_ever_ran(alice: User) -> None:
    assert why(loaded(alice)) == "No worker is running. The job waits."


def test_it_says_when_the_last_worker_was_seen(alice: User) -> None:
    Worker.saw("w")
    silence("w", 42)
    assert why(loaded(alice)) == "No worker is running; the last one was seen 4x s ago. The job waits."


def test_it_tells_readers_of_files_from_workers(alice: User) -> None:
    Worker.saw("reader", queues="load")
    assert why(loaded(alice)).startswith("No worker is running.")
    assert why(make_job(alice)) == ""


def test_it_says_the_place_in_the_line_that_fair_turns_give(alice: User) -> None:
    Worker.saw("w")
    bob = User.objects.create(username="bob")
    jobs = [loaded(alice), loaded(alice), loaded(bob)]
    recorder_for(jobs[0], "w")
    assert [why(job) for job in jobs[1:]] == ["Queued, 2nd in line.", "Queued, 1st in line."]


def test_it_says_which_worker_is_silent_and_what_it_holds(alice: User) -> None:
    Worker.saw("w")
    job = loaded(alice, csv_of(9))
    recorder = recorder_for(job, "host:7")
    recorder._pulse = engine.Pulse(dict.fromkeys(range(1, 8), 0.0), 0, None, 0)
    feed(recorder, success(0))
    silence("host:7", 20)
    assert why(job) == "Worker host:7 was last seen 2x s ago; its 7 items will go back to the queue."


@pytest.mark.parametrize("name", ["host:7", "a went silent; b", "Worker died"])
@pytest.mark.parametrize(("told", "said"), [(False, "died"), (True, "stopped")])
def test_it_says_of_which_worker_it_is_known(alice: User, name: str, told: bool, said: str) -> None:
    Worker.saw("w")
    job = loaded(alice, csv_of(1))
    recorder_for(job, name)
    Worker.saw(name, stopping=told)
    recovery.reclaim(name)
    assert why(job) == f"Worker {name} {said}; 1 item went back to the queue."


@pytest.mark.parametrize("name", ["host:7", "a went silent; b"])
def test_it_says_what_went_back_from_a_worker_of_any_name(alice: User, name: str) -> None:
    Worker.saw("w")
    job = loaded(alice, csv_of(7))
    recorder_for(job, name)
    silence(name, 42)
    die(job)
    assert why(job) == f"Worker {name} was last seen 4x s ago; 7 items went back to the queue."


def test_it_says_what_went_back_from_a_worker_that_nobody_knows_any_more(alice: User) -> None:
    Worker.saw("w")
    job = loaded(alice, csv_of(7))
    recorder_for(job, "host:7")
    die(job)
    Worker.objects.filter(name="host:7").delete()
    assert why(job) == "Worker host:7 went silent; 7 items went back to the queue."


def test_it_says_so_no_longer_after_a_while(alice: User) -> None:
    Worker.saw("w")
    job = loaded(alice, csv_of(7))
    recorder_for(job, "host:7")
    die(job)
    job.activities.update(at=timezone.now() - timedelta(minutes=1))
    assert why(job) == "Other jobs have their turn."


def test_it_says_that_the_broker_is_away(alice: User) -> None:
    Worker.saw("w", queues="load,work")
    Part.saw(BROKER, ok=False)
    assert why(loaded(alice)) == BROKER_AWAY.text
    assert why(make_job(alice)) == BROKER_AWAY.text


@pytest.mark.parametrize("later", ["back", "old"])
def test_it_forgets_that_the_broker_was_away(alice: User, later: str) -> None:
    Worker.saw("w")
    Part.saw(BROKER, ok=False)
    if later == "back":
        Part.saw(BROKER, ok=True)
    else:
        Part.objects.update(seen=timezone.now() - timedelta(minutes=1))
    assert why(loaded(alice)) == "Queued, 1st in line."


@pytest.mark.parametrize("reachable", [True, False])
def test_it_knows_from_the_keeper_how_the_broker_is(
    alice: User, monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    Part.saw(BROKER, ok=not reachable)
    loaded(alice)
    monkeypatch.setattr(broker, "queued", lambda queue: 0)
    monkeypatch.setattr(broker, "send", lambda *args: reachable)
    keeper.wake()
    assert Part.away(BROKER).exists() is not reachable


def test_it_has_no_reason_where_a_job_is_paused(alice: User) -> None:
    job = loaded(alice)
    actions.pause(job)
    assert why(job) == ""


def test_the_list_says_it_too(alice: User, django_assert_max_num_queries: Any) -> None:
    Worker.saw("w")
    for _ in range(10):
        loaded(alice)
    with django_assert_max_num_queries(12):
        around = SystemStatus()
        rows = [job_list.list_row(job, around) for job in job_list.listed(Job.objects.order_by("pk"))]
    assert [row["why"] for row in rows][:2] == ["Queued, 1st in line.", "Queued, 2nd in line."]


# Why a job that runs is not done sooner


def running(owner: User, in_flight: dict[int, float], pending: int = 0, pace: float = 0.0, **fields: Any) -> Job:
    """A job that runs and whose items at these positions have been tried for so many seconds."""
    job = loaded(owner, csv_of(1_000), **fields)
    began = [[at, time.time() - seconds] for at, seconds in in_flight.items()]
    left = len(in_flight) + pending
    counts = {"pending": left, "succeeded": 1_000 - left, "running": len(in_flight)}
    job.shards.update(token="t", rate=pace, in_flight=json.dumps(began), **counts)
    Job.objects.filter(pk=job.pk).update(state="running", started=timezone.now(), since=timezone.now())
    return job


def test_it_says_that_only_slow_items_remain(alice: User) -> None:
    Worker.saw("w")
    assert why(running(alice, {3: 20, 811: 45, 40: 20})) == "3 slow items remain, the longest is row 812."
    assert why(running(alice, {811: 45})) == "1 slow item remains: row 812."


@pytest.mark.parametrize(("in_flight", "pending"), [({811: 45}, 0), ({}, 500)])
def test_it_names_no_pace_while_nothing_ends(alice: User, in_flight: dict[int, float], pending: int) -> None:
    job = running(alice, in_flight, pending, pace=20.0)
    job.shards.update(throttled=time.time() + 12)
    job.refresh_from_db()
    frame = live_frame.stats(job)
    assert (frame["eta"], frame["rate"]) == (None, 0.0)


@pytest.mark.parametrize(("in_flight", "pending"), [({3: 20, 4: 0.5}, 0), ({3: 20}, 5)])
def test_it_calls_nothing_slow_before_all_that_is_left_is(
    alice: User, in_flight: dict[int, float], pending: int
) -> None:
    Worker.saw("w")
    assert why(running(alice, in_flight, pending)) == ""


def test_it_calls_nothing_slow_that_takes_as_long_as_others(alice: User) -> None:
    Worker.saw("w")
    job = running(alice, {3: 20})
    job.shards.update(histogram=latency_histogram.add(latency_histogram.empty(), [15.0] * 40).tobytes())
    assert why(job) == ""


@pytest.mark.parametrize(
    ("pace", "fields", "said"),
    [
        (19.2, {"rate": 20.0}, "Limited by the rate of 20/s."),
        (2.4, {"rate": 2.5}, "Limited by the rate of 2.5/s."),
        (12.0, {"rate": 20.0}, ""),
        (19.2, {"rate": 20.0, "workers": 2}, ""),
        (19.2, {}, ""),
    ],
)
def test_it_says_that_the_rate_is_the_limit(alice: User, pace: float, fields: dict[str, Any], said: str) -> None:
    Worker.saw("w")
    assert why(running(alice, {3: 0.1, 4: 0.1}, 500, pace, **fields)) == said


@pytest.mark.parametrize(("state", "said"), [("running", "Throttled"), ("paused", "Pausing")])
def test_it_says_that_its_service_holds_it_back(alice: User, state: str, said: str) -> None:
    job = running(alice, {3: 0.1}, 500)
    job.shards.update(throttled=time.time() + 12)
    Job.objects.filter(pk=job.pk).update(state=state)
    job.refresh_from_db()
    frame = live_frame.stats(job)
    assert (frame["label"], round(frame["throttled"] or 0)) == (said, 12)


def test_it_says_who_paused_it(alice: User) -> None:
    job = loaded(alice)
    actions.pause(job, alice)
    assert job.reason == "Paused by alice."


# What programs decide, they decide by codes


def nobody(owner: User) -> Job:
    return running(owner, {}, 500, pace=20.0)


def silent(owner: User) -> Job:
    Worker.saw("w")
    job = running(owner, {3: 0.1}, 500, pace=20.0)
    Worker.saw("host:7")
    silence("host:7", 20)
    job.shards.update(worker=Worker.objects.get(name="host:7"))
    return job


def slow(owner: User) -> Job:
    Worker.saw("w")
    return running(owner, {811: 45})


def waiting(owner: User) -> Job:
    Worker.saw("w")
    return loaded(owner)


def paused(owner: User) -> Job:
    job = loaded(owner)
    job.pause(reason=Reason(Code.FAILURE_LIMIT, "Paused: 5 items in a row failed with E."))
    return job


@pytest.mark.parametrize(
    ("situation", "code"),
    [
        (nobody, "no_worker"),
        (silent, "worker_silent"),
        (slow, "slow_items"),
        (waiting, "in_line"),
        (paused, "failure_limit"),
    ],
)
def test_it_comes_to_the_same_in_any_words(
    alice: User, monkeypatch: pytest.MonkeyPatch, situation: Callable[[User], Job], code: str
) -> None:
    job = situation(alice)
    job.refresh_from_db()
    one = live_frame.stats(job)
    for module in (status, eta):
        monkeypatch.setattr(module, "Reason", lambda code, text: Reason(code, "Words."))
    other = live_frame.stats(job)

    assert (one["reason"]["code"], other["reason"]["code"]) == (code, code)
    told = ("state", "label", "rate", "eta", "actions")
    assert [one[name] for name in told] == [other[name] for name in told]  # type: ignore[literal-required]
