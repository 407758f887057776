"""Finding the items that a person wants to see: filters, sorting, pages, and how far a search goes at a time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batchweb.deadlines import TookTooLong
from jobs import engine
from jobs.items import positions as items_positions
from jobs.items import search as items_search
from jobs.items import selection as wanted_items
from jobs.items.search import SearchPage, find
from jobs.items.selection import Mark, Wanted
from jobs.models import Item, ItemState, Job, Shard, latency_histogram
from jobs.models import counts as models_counts
from jobs.models.states import CELL_RETRYING
from jobs.store import dialect
from tests.base import csv_of, loaded, worked
from tests.steps import failure, feed, recorder_for, success

pytestmark = pytest.mark.django_db
ROWS = 62
PAGE = 10


def made(alice: User, rows: int = ROWS, **settings: Any) -> Job:
    """A job of 62 rows, one in three failed, the durations at random."""
    job = worked(alice, csv_of(rows, lambda at: "fail:Broken" if at % 3 == 0 else "ok"))
    dice = random.Random(7)
    begun = timezone.now()
    items = list(Item.objects.filter(job=job))
    for item in items:
        item.seconds = dice.choice((0.25, 0.5, dice.uniform(0.1, 9)))
        item.attempts = dice.randint(1, 4)
        item.finished = begun + timedelta(seconds=dice.randint(0, 50), microseconds=dice.randint(0, 999_999))
    Item.objects.bulk_update(items, ["seconds", "attempts", "finished"])
    for shard in job.shards.all():
        seconds = [item.seconds or 0.0 for item in items if shard.start <= item.position < shard.stop]
        shard.histogram = latency_histogram.add(latency_histogram.empty(), seconds).tobytes()
        shard.save(update_fields=["histogram"])
    return job


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "PAGE", PAGE)


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a search of so few rows comes to its end."""
    monkeypatch.setattr(items_search, "MOST", 60.0)
    monkeypatch.setattr(items_search, "SECONDS", 60.0)
    monkeypatch.setattr(items_search, "SORTED_WITHIN", 60.0)


@pytest.fixture
def job(alice: User) -> Job:
    return made(alice)


def look(job: Job, wanted: Wanted | None = None, **fields: Any) -> SearchPage:
    return find(job, wanted or Wanted(**fields), models_counts.summary(job))


def rows(job: Job, **fields: Any) -> list[int]:
    return [position + 1 for position in look(job, **fields).positions]


def everything(job: Job, wanted: Wanted) -> list[int]:
    """All pages, one after the other."""
    seen: list[int] = []
    after: Mark | None = None
    for _ in range(job.total + 1):
        found = look(job, wanted.but(after=after))
        seen += found.positions
        if not (after := found.next):
            return seen
    raise AssertionError("the pages never end")


# By state


def test_it_finds_each_state(job: Job) -> None:
    assert rows(job, state="failed")[:3] == [1, 4, 7]
    assert rows(job, state="succeeded")[:3] == [2, 3, 5]
    assert rows(job, state="not_succeeded")[:3] == [1, 4, 7]
    assert rows(job, state="rejected") == rows(job, state="waiting") == rows(job, state="not_attempted") == []


def test_it_tells_what_waits_from_what_runs_and_what_is_tried_again(alice: User) -> None:
    job = loaded(alice, csv_of(6), attempts=3)
    recorder = recorder_for(job)
    recorder._pulse = engine.Pulse({2: 1000.0}, 0, None, 0)
    feed(recorder, success(0), failure(1, retry_at=timezone.now().timestamp() + 60))
    job.refresh_from_db()
    assert (rows(job, state="running"), rows(job, state="retrying")) == ([3], [2])
    assert rows(job, state="waiting") == [2, 4, 5, 6]
    assert rows(job, state="not_succeeded") == [2, 3, 4, 5, 6]


def test_it_finds_as_many_of_each_state_as_are_counted(alice: User) -> None:
    job = loaded(alice, csv_of(6), attempts=3)
    recorder = recorder_for(job)
    recorder._pulse = engine.Pulse({2: 1000.0}, 0, None, 0)
    feed(recorder, success(0), failure(1, retry_at=timezone.now().timestamp() + 60), failure(3))
    job.refresh_from_db()
    counts = models_counts.summary(job)
    for state in ("succeeded", "failed", "rejected", "running", "waiting", "retrying", "not_attempted"):
        assert len(rows(job, state=state)) == counts[state], state


def test_it_finds_what_was_not_attempted_once_the_job_has_ended(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    job.cancel()
    job.refresh_from_db()
    assert rows(job, state="not_attempted") == [1, 2, 3]
    assert rows(job, state="waiting") == rows(job, state="retrying") == []


def test_it_knows_the_retrying_by_their_cells(alice: User) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.JOBS_SHARD_SIZE", 10)
        job = loaded(alice, csv_of(25))
    shard = Shard.objects.get(job=job, number=1)
    shard.cells = bytes([0, CELL_RETRYING, 0, CELL_RETRYING, *[0] * 6])
    shard.retrying = 2
    shard.save(update_fields=["cells", "retrying"])
    assert items_positions.retrying(job) == [11, 13]


def test_it_finds_one_cause(job: Job) -> None:
    cause = job.causes.get()
    assert rows(job, cause=cause.pk)[:2] == [1, 4]
    assert rows(job, cause=cause.pk + 1) == []
    assert look(job, cause=cause.pk).leaves == cause.count


# By text


@pytest.mark.parametrize("text", ["item 57", "ITEM 57", "m 57"])
def test_it_finds_a_text_of_the_input(job: Job, text: str) -> None:
    assert rows(job, text=text) == [58]


def test_it_finds_a_text_of_result_and_error(job: Job) -> None:
    Item.objects.filter(job=job, position=11).update(result='{"city": "Győr"}')
    Item.objects.filter(job=job, position=12).update(error="no such house")
    assert (rows(job, text="győr"), rows(job, text="GYŐR"), rows(job, text="such")) == ([12], [12], [13])
    assert len(rows(job, text="broken")) == PAGE


def test_it_finds_what_json_writes_otherwise(job: Job) -> None:
    Item.objects.filter(job=job, position=11).update(result='{"said": "\\"yes\\" \\\\ no"}')
    Item.objects.filter(job=job, position=12).update(payload='["\\u00e4pfel", "ok"]')
    assert rows(job, text='"yes"') == [12]
    assert rows(job, text="\\ no") == [12]
    assert rows(job, text="äpfel") == [13]


@pytest.mark.parametrize("text", ["%", "_", "'; DROP TABLE jobs_item; --", "[a-z]", "\\", "item%1"])
def test_it_takes_no_text_for_a_pattern(job: Job, text: str) -> None:
    assert rows(job, text=text) == []


def test_it_looks_for_a_text_among_the_filtered(job: Job) -> None:
    assert rows(job, text="item 1", state="failed")[:3] == [13, 16, 19]


# By seconds


def test_it_finds_by_seconds(job: Job) -> None:
    slow = {item.row for item in Item.objects.filter(job=job, seconds__gte=8)}
    assert set(rows(job, least=8.0)) == slow
    quick = {item.row for item in Item.objects.filter(job=job, seconds__lte=0.2)}
    assert set(rows(job, most=0.2)) == quick
    exactly = [item.row for item in Item.objects.filter(job=job, seconds=0.5).order_by("position")]
    assert rows(job, least=0.5, most=0.5) == exactly[:PAGE]


def test_it_looks_only_where_attempts_took_that_long(alice: User) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.JOBS_SHARD_SIZE", 10)
        job = worked(alice, csv_of(40))
    shard = Shard.objects.get(job=job, number=2)
    shard.histogram = latency_histogram.add(latency_histogram.load(shard.histogram), [12.0]).tobytes()
    shard.save(update_fields=["histogram"])
    Item.objects.filter(job=job, position=25).update(seconds=12.0)
    assert items_positions.timed(job, 10.0, None) == items_positions.Timed([(20, 30)], 1)
    assert items_positions.timed(job, 20.0, None) == items_positions.Timed([], 0)
    assert rows(job, least=10.0) == rows(job, least=10.0, sort="-attempts") == [26]
    assert rows(job, least=20.0, sort="-seconds") == []


def test_it_sorts_the_few_that_took_long_in_a_large_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "SORTABLE", 30)
    slow = Item.objects.filter(job=job, seconds__gte=6).order_by("-seconds")
    found = look(job, least=6.0, sort="-seconds")
    assert (found.sorted, found.positions) == (True, [item.position for item in slow][:PAGE])


@pytest.mark.parametrize("ranges", [0, 300])
def test_it_sorts_what_lies_in_several_places(alice: User, monkeypatch: pytest.MonkeyPatch, ranges: int) -> None:
    monkeypatch.setattr(items_search, "RANGES", ranges)
    monkeypatch.setattr("django.conf.settings.JOBS_SHARD_SIZE", 10)
    job = worked(alice, csv_of(60))
    for number, position in ((1, 15), (3, 30), (5, 59)):
        shard = Shard.objects.get(job=job, number=number)
        shard.histogram = latency_histogram.add(latency_histogram.load(shard.histogram), [12.0 + number]).tobytes()
        shard.save(update_fields=["histogram"])
        Item.objects.filter(job=job, position=position).update(seconds=12.0 + number)
    assert rows(job, least=10.0, sort="-seconds") == [60, 31, 16]
    assert rows(job, least=10.0) == [16, 31, 60]


# Pages


@pytest.mark.parametrize(
    "sort", ["row", "-row", "seconds", "-seconds", "attempts", "-attempts", "finished", "-finished"]
)
@pytest.mark.parametrize("state", ["", "failed", "not_succeeded", "succeeded"])
def test_it_pages_through_every_order_forth_and_back(job: Job, sort: str, state: str) -> None:
    wanted = Wanted(state=state, sort=sort)
    forth = everything(job, wanted)
    assert sorted(forth) == sorted(set(forth))
    assert len(forth) == {"": ROWS, "succeeded": ROWS - 21}.get(state, 21)
    assert forth == in_order(job, forth, sort)
    second = look(job, wanted.but(after=look(job, wanted).next))
    assert second.previous is not None
    assert look(job, wanted.but(before=second.previous)).positions == forth[:PAGE]


@pytest.mark.parametrize("sort", ["row", "-row", "seconds", "-seconds"])
@pytest.mark.parametrize("state", ["", "failed"])
def test_it_makes_a_page_longer(monkeypatch: pytest.MonkeyPatch, job: Job, sort: str, state: str) -> None:
    monkeypatch.setattr(wanted_items, "MORE", 5)
    forth = everything(job, Wanted(state=state, sort=sort))
    second = Wanted(state=state, sort=sort, after=look(job, sort=sort, state=state).next)
    longer = second.longer()
    assert longer
    found = look(job, longer)
    assert found.positions == forth[PAGE : 2 * PAGE + 5]
    assert look(job, longer.but(after=found.next)).positions == forth[2 * PAGE + 5 : 3 * PAGE + 5] or not found.next
    assert found.previous
    assert look(job, longer.but(before=found.previous)).positions == forth[:PAGE]


def in_order(job: Job, positions: list[int], sort: str) -> list[int]:
    column = sort.removeprefix("-")
    values: dict[int, Any] = dict(
        Item.objects.filter(job=job).values_list("position", "position" if column == "row" else column)
    )
    return sorted(positions, key=lambda at: (values[at], at), reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["seconds", "-seconds", "finished", "-finished"])
def test_it_pages_through_what_was_never_tried(alice: User, sort: str) -> None:
    job = loaded(alice, csv_of(ROWS))
    assert sorted(everything(job, Wanted(sort=sort))) == list(range(ROWS))


def test_it_pages_on_where_a_row_has_gone(job: Job) -> None:
    first = look(job, state="failed", sort="-seconds")
    expected = look(job, state="failed", sort="-seconds", after=first.next).positions
    Item.objects.filter(job=job, position=first.positions[-1]).update(state=ItemState.SUCCEEDED)
    assert look(job, state="failed", sort="-seconds", after=first.next).positions == expected


def test_it_jumps_to_a_row(job: Job) -> None:
    assert rows(job, text="#40")[:2] == [40, 41]
    assert rows(job, text="#1")[0] == 1
    assert rows(job, text=f"#{ROWS:,}") == [ROWS]
    assert rows(job, text="#0") == rows(job, text="#1")
    assert rows(job, text="#999999") == []


def test_it_sorts_no_more_rows_than_it_says(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "SORTABLE", 30)
    found = look(job, sort="-seconds")
    assert (found.sorted, found.leaves, found.positions[:3]) == (False, ROWS, [0, 1, 2])
    assert look(job, sort="-seconds", state="failed").sorted


def test_it_has_an_index_for_every_order_of_what_failed(job: Job) -> None:
    for column in ("seconds", "attempts", "finished"):
        with CaptureQueriesContext(connection) as queries:
            look(job, state="failed", sort=f"-{column}")
        asked = next(query["sql"] for query in queries if "rank" in query["sql"])
        assert f"item_failed_by_{column}" in plan(asked), plan(asked)


def plan(query: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + query)
        return str(cursor.fetchall())


# How far a search goes


def ticking(step: float) -> Iterator[float]:
    return (tick * step for tick in count())


def search(job: Job, wanted: Wanted, step: float) -> SearchPage:
    """A search for which every look at the clock is `step` seconds after the one before."""
    clock = ticking(step)
    return find(job, wanted, models_counts.summary(job), clock=lambda: next(clock))


def test_it_ends_a_search_when_the_time_is_up(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "FIRST", 5)
    found = search(job, Wanted(text="item 60"), items_search.SECONDS / 3)
    assert found.positions == []
    assert found.searched is not None
    first, last = found.searched
    assert first == 1
    assert 5 <= last < 60
    assert found.next == Mark(last)


@pytest.mark.parametrize("sort", ["row", "-row"])
def test_it_finds_all_of_it_by_searching_on(job: Job, monkeypatch: pytest.MonkeyPatch, sort: str) -> None:
    monkeypatch.setattr(items_search, "FIRST", 3)
    wanted, seen, steps = Wanted(text="item 1", sort=sort), [], 0
    while True:
        found = search(job, wanted, items_search.SECONDS / 4)
        seen += found.positions
        steps += 1
        if not found.next:
            break
        wanted = wanted.but(after=found.next)
    expected = [at for at in range(ROWS) if f"item {at}".startswith("item 1")]
    assert seen == (expected if sort == "row" else expected[::-1])
    assert steps > 3


def test_it_takes_longer_steps_while_they_are_quick(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "FIRST", 10)
    with CaptureQueriesContext(connection) as queries:
        search(job, Wanted(text="nothing like it"), 1e-6)
    steps = [query for query in queries if "INSTR(" in query["sql"] or "STRPOS(" in query["sql"]]
    assert len(steps) == 3  # 10, 40 and 12 rows


def test_it_takes_shorter_steps_where_rows_are_large(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_search, "FIRST", 10)
    hunt = items_search.Search(job, Wanted(text="x"), iter([0.0, 0.1, 0.1, 0.2]).__next__)
    steps = hunt.steps()
    assert [next(steps)[1] for _ in range(2)] == [9, 14]


@pytest.fixture
def slow_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of more than three rows are interrupted."""
    read = items_search.Search.read

    def interrupted(self: items_search.Search, where: Q, limit: int) -> list[int]:
        if Item.objects.filter(where, job=self.job).count() > 3:
            raise TookTooLong
        return read(self, where, limit)

    monkeypatch.setattr(items_search.Search, "read", interrupted)


@pytest.mark.parametrize("sort", ["row", "-row"])
@pytest.mark.parametrize("first", [1, 3, 250])
def test_it_finds_all_of_it_where_steps_take_too_long(
    job: Job, monkeypatch: pytest.MonkeyPatch, slow_rows: None, sort: str, first: int
) -> None:
    monkeypatch.setattr(items_search, "FIRST", first)
    expected = [at for at in range(ROWS) if f"item {at}".startswith("item 1")]
    found = everything(job, Wanted(text="item 1", sort=sort))
    assert found == (expected if sort == "row" else expected[::-1])


def test_it_says_how_far_it_got_before_a_step_took_too_long(
    job: Job, monkeypatch: pytest.MonkeyPatch, slow_rows: None
) -> None:
    monkeypatch.setattr(items_search, "FIRST", 2)
    found = search(job, Wanted(text="nothing like it"), 1e-6)
    assert (found.searched, found.next) == ((1, 2), Mark(2))


def test_it_gives_up_the_order_where_sorting_takes_too_long(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> SearchPage:
        raise TookTooLong

    monkeypatch.setattr(items_search.Search, "by_value", interrupted)
    found = look(job, text="item 1", sort="-seconds")
    assert (found.sorted, found.positions[:3]) == (False, [1, 10, 11])


def test_it_interrupts_a_step(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    read = items_search.Search.read
    asked: list[int] = []

    def slow(self: items_search.Search, where: Q, limit: int) -> list[int]:
        asked.append(limit)
        if len(asked) == 1:
            dialect.execute("SELECT pg_sleep(600)" if dialect.postgres() else ENDLESS)
        return read(self, where, limit)

    monkeypatch.setattr(items_search, "MOST", 0.05)
    monkeypatch.setattr(items_search.Search, "read", slow)
    found = look(job, text="item 0")
    assert (found.positions, found.searched) == ([0], (1, 1))


ENDLESS = """WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
             SELECT COUNT(*) FROM numbers"""


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite works in this process, where work is counted")
@pytest.mark.parametrize("text", ["a" * 199 + "b", "b" + "a" * 199, "a" * 100 + "b" + "a" * 99])
def test_it_takes_little_longer_for_a_text_that_almost_fits(job: Job, text: str) -> None:
    def work(text: str) -> float:
        begun = time.process_time()
        assert rows(job, text=text) == []
        return time.process_time() - begun

    Item.objects.filter(job=job).update(payload="a" * 200_000)
    work(text)
    plain, hard = (min(work(one) for _ in range(3)) for one in ("zz", text))
    # With a pattern it was a thousand times as much.
    assert hard < 50 * plain


# What a person asks for


def test_it_reads_what_it_wrote() -> None:
    wanted = Wanted("failed", 7, "a&b=#c ä", 0.25, 1e-05, "-finished", after=Mark(12, 1764177000.123456))
    assert Wanted.of(QueryDict(wanted.query).dict()) == wanted
    assert Wanted().query == ""


@pytest.mark.parametrize(
    "odd",
    [{"state": "odd"}, {"sort": "payload"}, {"sort": "--row"}, {"cause": "x"}, {"cause": "9" * 30}, {"from": "nan"},
     {"to": "inf"}, {"from": "x" * 99}, {"after": "-1"}, {"after": "0"}, {"after": "7~x"}, {"after": "7~"},
     {"before": "9" * 30}, {"after": "7~1e999"}, {"cause": "²"}],
)  # fmt: skip
def test_it_takes_odd_questions_for_none(odd: dict[str, str]) -> None:
    assert Wanted.of(odd) == Wanted()


@pytest.mark.parametrize("sort", ["seconds", "-attempts", "finished"])
@pytest.mark.parametrize("value", ["1e300", "-1e300", "4.2", "-7"])
def test_it_survives_marks_that_nobody_gave(job: Job, sort: str, value: str) -> None:
    mark = Mark.of(f"7~{value}")
    assert mark is not None
    assert len(look(job, sort=sort, after=mark).positions) <= PAGE
    assert len(look(job, sort=sort, before=mark).positions) <= PAGE
