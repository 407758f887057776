from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.export import reader
from jobs.items import row_ranges
from jobs.items.choice import STATES, Choice
from jobs.items.row_ranges import InvalidSelection
from jobs.models import Item, ItemState, Job
from tests.base import csv_of, loaded, worked
from tests.steps import part_done

KINDS = {2: "fail:One", 5: "fail:Two", 6: "fail:One", 9: "fail:One"}


@pytest.fixture
def job(alice: User) -> Job:
    return worked(alice, csv_of(12, lambda at: KINDS.get(at, "ok")))


def rows(job: Job, **query: str) -> list[int]:
    return [row[0] for chunk in reader.results(job, Choice.of(query, job)) for row in chunk]


def cause(job: Job, kind: str) -> str:
    return str(job.causes.get(kind=kind).pk)


def test_it_takes_all_rows_unless_something_is_said(job: Job) -> None:
    assert rows(job) == rows(job, state="all") == rows(job, state="") == list(range(1, 13))


def test_it_takes_the_rows_of_a_state(job: Job) -> None:
    assert rows(job, state="failed") == [3, 6, 7, 10]
    assert rows(job, state="succeeded") == [1, 2, 4, 5, 8, 9, 11, 12]
    assert rows(job, state="rejected") == rows(job, state="pending") == rows(job, state="not_attempted") == []


def test_it_takes_the_rows_of_a_cause(job: Job) -> None:
    assert rows(job, cause=cause(job, "One")) == [3, 7, 10]
    assert rows(job, cause=cause(job, "One"), rows="1-7") == [3, 7]
    assert rows(job, cause=cause(job, "One"), state="succeeded") == []


def test_it_takes_the_rows_that_are_named(job: Job) -> None:
    assert rows(job, rows="3, 8-10,9,12") == [3, 8, 9, 10, 12]
    assert rows(job, rows="1-12", state="failed") == [3, 6, 7, 10]


def test_it_takes_what_was_accepted_or_was_not(job: Job) -> None:
    Item.objects.filter(job=job, position__in=(2, 5)).update(accepted=timezone.now())
    assert rows(job, accepted="1") == rows(job, state="accepted") == [3, 6]
    assert rows(job, accepted="0") == [7, 10]
    assert rows(job, accepted="0", cause=cause(job, "One")) == [7, 10]
    assert rows(job, state="failed") == [3, 6, 7, 10]


def test_it_takes_what_did_not_succeed_in_order(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FIRST", 2)
    monkeypatch.setattr(reader, "CHUNK", 3)
    job = loaded(alice, csv_of(40))
    for state in (ItemState.SUCCEEDED, ItemState.FAILED, ItemState.REJECTED):
        Item.objects.filter(job=job, position__in=range(state, 40, 5)).update(state=state)
    assert rows(job, state="not_succeeded") == [at + 1 for at in range(40) if at % 5 != 2]


def test_it_takes_rows_by_the_words_that_the_result_has(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    part_done(job)
    assert (rows(job, state="pending"), rows(job, state="not_attempted")) == ([3, 4], [])
    job.cancel(alice)
    job.refresh_from_db()
    assert (rows(job, state="pending"), rows(job, state="not_attempted")) == ([], [3, 4])


WRONG = [
    ({"state": "done"}, "There is no state “done”. There are: all, succeeded,"),
    ({"state": "<b>" * 1_000}, "There is no state “<b><b>"),
    ({"cause": "7x"}, "This job has no cause “7x”."),
    ({"cause": "99999"}, "This job has no cause “99999”."),
    ({"cause": "9" * 40}, "This job has no cause “9999"),
    ({"cause": "-1"}, "This job has no cause “-1”."),
    ({"cause": "٣"}, "This job has no cause “٣”."),
    ({"rows": "a"}, "“a” names no rows. Name some like this: 3,17,20-25."),
    ({"rows": ","}, "No rows are named."),
    ({"rows": "5-3"}, "“5-3” names no rows: they are counted from 1"),
    ({"rows": "0"}, "“0” names no rows: they are counted from 1"),
    ({"rows": "3-13"}, "There is no row 13: the job has 12."),
    ({"rows": "9" * 30}, "“999999999999999999999999999999” names no rows."),
    ({"rows": "1," * 1_001}, f"Up to {row_ranges.MOST:,} rows and ranges can be named at a time, not 1,001."),
    ({"accepted": "yes"}, "“accepted” is 1 or 0, not “yes”."),
    ({"accepted": "0", "state": "accepted"}, "Accepted rows that are not accepted: there are none."),
]


@pytest.mark.parametrize(("query", "sentence"), WRONG)
def test_it_says_what_is_wrong(job: Job, query: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidSelection) as wrong:
        Choice.of(query, job)
    assert str(wrong.value).startswith(sentence)
    assert len(str(wrong.value)) < 200


def test_it_knows_no_cause_of_another_job(alice: User, job: Job) -> None:
    other = worked(alice, csv_of(2, lambda at: "fail:Other"))
    with pytest.raises(InvalidSelection):
        Choice.of({"cause": cause(other, "Other")}, job)


def test_it_joins_what_overlaps() -> None:
    assert row_ranges.parse("7-9,1,2,8-12,20", 20) == ((0, 2), (6, 12), (19, 20))


def test_it_names_the_file_by_what_is_in_it() -> None:
    words = [Choice(state).word for state in STATES]
    assert words[:3] == ["results", "results-succeeded", "results-failed"]
    assert Choice(cause=7, spans=((0, 1),)).word == "results-cause-7-rows"
