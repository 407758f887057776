"""How fast jobs are: points that the keeper adds, bounded, and right whatever happens to the job meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import actions, events, tasks
from jobs.live import job_list, throughput
from jobs.maintenance import keeper
from jobs.models import Job, JobState, Run, Series
from jobs.models.series import POINTS, QUARTER, QUARTERS, Point, quarter_of, spark, thinned
from jobs.store import shards
from tests.base import csv_of, loaded, worked
from tests.steps import failure, feed, recorder_for, success

pytestmark = pytest.mark.django_db
START = timezone.now()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sample(seconds: float) -> None:
    """The keeper looks so many seconds after the start."""
    throughput.sample(START + timedelta(seconds=seconds))


def running(owner: User, items: int = 40) -> Job:
    """A job that began to run at the start."""
    job = loaded(owner, csv_of(items))
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, started=START, since=START)
    job.refresh_from_db()
    return job


def put(job: Job, done: int, failed: int = 0, seconds: float = 0.01) -> None:
    """So many items of the job are done by now, the last ones of them failed."""
    (shard,) = job.shards.all()
    cells = bytearray([2] * (done - failed) + [3] * failed + [0] * (job.total - done))
    shards.save_shard(shard.pk, cells)
    before = shard.attempts
    histogram = shards.observe(bytes(shard.histogram), [seconds] * (done - before))
    shards.save_shard(shard.pk, attempts=done, histogram=histogram)


def points(job: Job) -> list[Point]:
    return Series.objects.get(job=job).load()


def rates(job: Job) -> list[tuple[float, float]]:
    return [(done, failed) for _, done, failed, _, _ in points(job)]


def test_it_says_how_many_items_finished_each_second(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    put(job, 16, failed=4)
    sample(2)
    assert rates(job) == [(10.0, 0.0), (6.0, 4.0)]


def test_it_says_when(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    ((moment, *_),) = points(job)
    assert moment == pytest.approx(START.timestamp() + 1, abs=0.01)


def test_it_divides_by_the_time_that_passed(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(4)
    assert rates(job) == [(2.5, 0.0)]


def test_it_takes_the_times_of_each_interval_by_themselves(alice: User) -> None:
    job = running(alice)
    put(job, 10, seconds=0.01)
    sample(1)
    put(job, 20, seconds=2.0)
    sample(2)
    first, second = points(job)
    assert first[3:] == pytest.approx((0.01, 0.01), rel=0.07)
    assert second[3:] == pytest.approx((2.0, 2.0), rel=0.07)


def test_it_has_no_times_where_nothing_was_tried(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    sample(2)
    assert points(job)[1][1:] == (0.0, 0.0, None, None)


def test_it_begins_with_the_first_item(alice: User) -> None:
    job = running(alice)
    for second in range(1, 5):
        sample(second)
    put(job, 3)
    sample(5)
    assert rates(job) == [(3.0, 0.0)]


def test_it_waits_until_a_point_is_due(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    put(job, 15)
    sample(1.5)
    sample(2)
    assert rates(job) == [(10.0, 0.0), (5.0, 0.0)]


def test_it_asks_as_much_for_many_jobs_as_for_one(alice: User) -> None:
    asked: list[int] = []
    for count in (1, 9):
        for _ in range(count):
            put(running(alice, 5), 3)
        with CaptureQueriesContext(connection) as queries:
            sample(10 * len(asked) + 5)
        asked.append(len([each for each in queries if "SAVEPOINT" not in each["sql"]]))
    assert asked[0] == asked[1] <= 4


def test_it_looks_at_nothing_where_nothing_runs(alice: User) -> None:
    worked(alice)
    sample(100_000)
    with CaptureQueriesContext(connection) as queries:
        sample(100_001)
    assert len(queries) == 1


def test_it_keeps_300_points_and_thins_older_ones(alice: User) -> None:
    job = running(alice, 1000)
    for second in range(1, POINTS + 2):
        put(job, second)
        sample(second)
    kept = points(job)
    assert len(kept) == POINTS // 2 + 1
    assert {done for _, done, *_ in kept} == {1.0}
    assert Series.objects.get(job=job).interval == 2.0
    put(job, POINTS + 9)
    sample(POINTS + 2)
    assert len(points(job)) == len(kept)
    sample(POINTS + 3)
    assert rates(job)[-1] == (4.0, 0.0)


def test_it_keeps_the_slower_of_two_slow_items() -> None:
    two: list[Point] = [(1, 4.0, 0.0, 0.1, 0.2), (2, 2.0, 1.0, 0.3, 0.9), (3, 1.0, 0.0, None, None)]
    assert thinned(two) == [(2, 3.0, 0.5, 0.2, 0.9), (3, 1.0, 0.0, None, None)]


def test_it_gives_a_short_job_one_point(alice: User) -> None:
    job = worked(alice, csv_of(20))
    throughput.sample()
    ((_, done, failed, p50, _),) = points(job)
    assert (done > 0, failed, p50 is not None) == (True, 0.0, True)
    throughput.sample()
    assert len(points(job)) == 1


def test_it_ends_with_the_job(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    put(job, 40)
    Job.objects.filter(pk=job.pk).update(state=JobState.FINISHED, finished=at(3), since=None, spent=3.0)
    sample(3.4)
    assert [point[0] for point in points(job)] == pytest.approx(
        [START.timestamp() + 1, START.timestamp() + 3], abs=0.01
    )
    assert rates(job)[-1] == (15.0, 0.0)
    assert Series.objects.get(job=job).due is None


def test_it_folds_a_short_last_moment_into_the_point_before(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    put(job, 13)
    Job.objects.filter(pk=job.pk).update(state=JobState.FINISHED, finished=at(1.25), since=None, spent=1.25)
    sample(2)
    ((done, _),) = rates(job)
    assert done == pytest.approx(13 / 1.25)


def test_it_follows_what_is_in_flight_after_a_pause(alice: User) -> None:
    job = loaded(alice, csv_of(10))
    recorder = recorder_for(job)
    job.refresh_from_db()
    begun = job.started
    assert begun
    feed(recorder, success(0), success(1))
    throughput.sample(begun + timedelta(seconds=1))
    actions.pause(job)
    feed(recorder, success(2))
    throughput.sample(begun + timedelta(seconds=2))
    assert Series.objects.get(job=job).due
    recorder.close()
    throughput.sample(begun + timedelta(seconds=3))
    assert Series.objects.get(job=job).due is None
    assert [done for done, _ in rates(job)] == [2.0, 1.0, 0.0]


def test_it_does_not_count_a_pause(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    sample(1)
    Job.objects.filter(pk=job.pk).update(state=JobState.PAUSED, since=None, spent=1.0)
    sample(2)
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, since=at(1000))
    sample(1000.2)
    put(job, 30)
    sample(1002)
    assert rates(job)[-1] == (10.0, 0.0)


def test_it_counts_again_what_a_retry_put_back(alice: User) -> None:
    job = running(alice)
    put(job, 40, failed=10)
    Job.objects.filter(pk=job.pk).update(state=JobState.FINISHED, finished=at(2), since=None, spent=2.0)
    sample(2.5)
    run = job.new_run(Run.Kind.RETRY, 10, alice)
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, since=at(100), finished=None, run=run, spent=0.0)
    put(job, 40, failed=4)
    sample(102)
    assert rates(job)[-1] == (5.0, 2.0)


def test_it_begins_anew_with_another_reading_of_the_file(alice: User) -> None:
    job = running(alice)
    put(job, 30)
    sample(1)
    Job.objects.filter(pk=job.pk).update(readings=1, since=at(9))
    put(job, 8)
    sample(10)
    assert rates(job) == [(8.0, 0.0)]


def test_it_says_nothing_of_the_time_before_it_was_there(alice: User) -> None:
    job = running(alice)
    put(job, 30)
    sample(5000)
    put(job, 34)
    sample(5001)
    assert rates(job) == [(4.0, 0.0)]


def test_it_counts_what_finished_in_each_quarter_of_an_hour(alice: User) -> None:
    job, first = running(alice), QUARTER - START.timestamp() % QUARTER
    for done, seconds in ((0, 1), (10, 2), (15, 3), (18, QUARTER + 2)):
        put(job, done)
        sample(first + seconds)
    now = quarter_of(at(first + 1))
    assert quarters(job) == [[now, 15], [now + 1, 3]]
    put(job, 19)
    sample(first + QUARTER * QUARTERS + 3)
    assert quarters(job) == [[now + 1, 3], [now + QUARTERS, 1]]


def quarters(job: Job) -> list[list[int]]:
    found: list[list[int]] = json.loads(Series.objects.get(job=job).quarters)
    return found


@pytest.mark.parametrize(("zone", "counted"), [("America/Los_Angeles", 1), ("UTC", 3), ("Asia/Kathmandu", 7)])
def test_it_adds_up_what_finished_since_midnight(
    alice: User, monkeypatch: pytest.MonkeyPatch, zone: str, counted: int
) -> None:
    """At noon in London it is four in the morning in California and a quarter to six in the evening in Kathmandu."""
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    kept = [[quarter_of(noon) - before, count] for before, count in ((72, 8), (71, 4), (17, 2), (16, 1))]
    job = worked(alice)
    Series.objects.update_or_create(job=job, defaults={"at": noon, "quarters": json.dumps(kept)})
    monkeypatch.setattr(timezone, "now", lambda: noon)
    with timezone.override(ZoneInfo(zone)):
        strip = job_list.glance(alice.pk)["strip"]
    assert (strip["today"], strip["lately"]) == (counted, [tuple(pair) for pair in kept])


def test_it_passes_over_a_deleted_job(alice: User) -> None:
    job = running(alice)
    put(job, 10)
    actions.delete(job)
    sample(1)
    assert not Series.objects.exists()


def test_it_goes_with_its_job(alice: User) -> None:
    job = worked(alice)
    throughput.sample()
    Job.objects.filter(pk=job.pk).update(run=None)
    Job.objects.filter(pk=job.pk).delete()
    assert not Series.objects.exists()


def test_it_tells_the_pages_of_the_last_point(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[tuple[str, int, int]] = []
    monkeypatch.setattr(events, "wake", lambda *told: woken.append(told))
    job = running(alice)
    put(job, 10)
    sample(1)
    assert woken == []
    Job.objects.filter(pk=job.pk).update(state=JobState.FINISHED, finished=at(1.6), since=None)
    sample(2)
    assert woken == [(job.code, job.seq, alice.pk)]


def test_it_is_the_keeper_who_looks(alice: User) -> None:
    job = worked(alice)
    keeper.sample()
    assert points(job)


def test_it_has_real_figures_of_failures(alice: User) -> None:
    job = loaded(alice, csv_of(10), attempts=1)
    recorder = recorder_for(job)
    job.refresh_from_db()
    assert job.started
    feed(recorder, success(0), failure(1), failure(2))
    throughput.sample(job.started + timedelta(seconds=2))
    assert rates(job) == [(1.5, 1.0)]
    recorder.close()
    tasks.work()


@pytest.mark.parametrize(
    ("rates", "path"),
    [([], ""), ([0.0, 0.0], ""), ([5.0], "M0 1L96 1"), ([2.0, 4.0, 0.0], "M0 10L48 1L96 19")],
)
def test_it_draws_a_small_curve(rates: list[float], path: str) -> None:
    assert spark(rates) == path


def test_it_draws_few_points_whatever_there_are() -> None:
    assert len(spark([123.4] * POINTS)) <= 400
    assert spark([1.0] * POINTS).count("L") == 23
