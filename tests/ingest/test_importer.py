from __future__ import annotations

import csv
import io
import json
import math
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import TestCase
from django.utils import timezone

from jobs import actions, files, tasks
from jobs.export import results
from jobs.ingest import importer
from jobs.models import Activity, Batch, Item, Job, JobState, Run, Shard
from jobs.store import leases
from tests.base import csv_of, lines, loaded, make_job, states
from tests.files.corpus import Case, cases
from tests.steps import row, wrong

NASTY = "\\ \\\\ \\N \\. \\n \\t 'x' %s {} $1 łódź 🐢 \u2028 \x7f"


# One of each format, plain and in gzip.
FORMATS = list({(case.name, case.data[:2]): case for case in cases() if len(case.values) > 2}.values())
# All of them, but what is there plain not in gzip once more.
FILES = [case for case in cases() if not case.label.endswith("gzip")] + [
    case for case in FORMATS if case.label.endswith("gzip")
]


class Died(BaseException):
    """The reader's process is gone."""


def interrupted(job: Job, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    """The reader dies after so many shards."""
    real, calls = importer.add_shard, iter(range(shards))

    def add(*args: Any) -> None:
        if next(calls, None) is None:
            raise Died
        real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(importer, "add_shard", add)
        with pytest.raises(Died):
            importer.load(job)


def test_it_stores_rows_in_their_order(alice: User) -> None:
    job = loaded(alice, csv_of(25))
    found = Item.objects.filter(job=job).order_by("position").values_list("position", "payload")
    assert list(found) == [(at, f'["item {at}","ok"]') for at in range(25)]


def test_it_cuts_the_rows_into_shards(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = loaded(alice, csv_of(25))
    ranges = Shard.objects.filter(job=job).order_by("number").values_list("number", "start", "stop", "pending")
    assert list(ranges) == [(0, 0, 10, 10), (1, 10, 20, 10), (2, 20, 25, 5)]
    assert wrong(job) == []


def test_it_cuts_finer_for_several_tasks(alice: User, settings: Any) -> None:
    settings.JOBS_SHARD_SIZE = 40
    assert loaded(alice, csv_of(40), workers=100).shards.count() == 4


def test_it_makes_smaller_shards_of_large_rows(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "SHARD_SIZE", 5000)
    job = loaded(alice, "name\n" + ("x" * 1000 + "\n") * 20)
    assert [shard.stop - shard.start for shard in job.shards.order_by("number")] == [5, 5, 5, 5]


def test_it_goes_on_to_the_queue_when_asked_to(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    assert (job.state, job.run) == (JobState.QUEUED, Run.objects.get(job=job, kind="first", items=3))


def test_it_waits_for_a_person_otherwise(alice: User) -> None:
    job = loaded(alice, csv_of(3), start=False)
    assert (job.state, job.run) == (JobState.READY, None)


def test_it_keeps_the_place_of_a_bad_row(alice: User) -> None:
    job = loaded(alice, "a,b\n1,2\n1,2,3\n4,5\n", mapping={})
    item = row(job, 1)
    assert states(job) == ["pending", "rejected", "pending"]
    assert (item.error_kind, bool(item.error)) == ("rejected", True)
    assert len(lines(results.chunks(job, "csv"))) == 4
    assert wrong(job) == []


def test_it_goes_on_after_bad_rows(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 3
    job = make_job(alice, "a,b\n1,2\n1\n3,4\n1\n1\n1\n5,6\n1\n", mapping={})
    interrupted(job, monkeypatch, shards=1)
    Job.objects.filter(pk=job.pk).update(load_expires=timezone.now() - timedelta(seconds=1))
    importer.load(Job.objects.get(pk=job.pk))
    p, r = "pending", "rejected"
    assert (states(job), wrong(job)) == ([p, r, p, r, r, r, p, r], [])
    assert list(job.shards.order_by("number").values_list("number", "rejected")) == [(0, 1), (1, 3), (2, 1)]


def test_it_finishes_at_once_when_every_row_is_bad(alice: User) -> None:
    job = make_job(alice, "a,b\n1,2,3\n4,5,6\n")
    tasks.load_file(job.pk)
    job.refresh_from_db()
    assert (job.state, states(job), wrong(job)) == (JobState.FINISHED, ["rejected"] * 2, [])


def test_it_finishes_bad_rows_when_a_person_starts_them(alice: User) -> None:
    job = loaded(alice, "a,b\n1,2,3\n", start=False)
    actions.start(job, alice)
    job.refresh_from_db()
    assert job.state == JobState.FINISHED


def test_it_says_why_a_file_cannot_be_read(alice: User) -> None:
    job = make_job(alice, 'a,b\n1,2\n3,"4\n')
    assert importer.load(job)
    job.refresh_from_db()
    assert job.state == JobState.INVALID
    assert job.reason == "A quote that opens in row 2 (line 3) is never closed."
    assert Activity.objects.get(job=job, verb="invalid").text == job.reason


def test_it_says_that_the_file_is_gone(alice: User) -> None:
    job = make_job(alice, csv_of(2))
    job.upload.file.storage.delete(str(job.upload.file.name))
    importer.load(job)
    assert (job.state, job.reason) == (JobState.INVALID, "The stored file is gone.")


def test_it_gives_up_a_file_that_the_database_refuses(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(alice, csv_of(2))

    def refuse(*args: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(importer, "insert", refuse)
    importer.load(job)
    job.refresh_from_db()
    assert (job.state, job.total) == (JobState.INVALID, 0)


def test_it_says_when_the_settings_cannot_be_stored(alice: User) -> None:
    job = make_job(alice, csv_of(2))
    Job.objects.filter(pk=job.pk).update(backoff=1.0, rate=math.inf)
    assert importer.load(Job.objects.get(pk=job.pk))
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.INVALID, "The database refuses a value of the job's settings.")
    assert not job.runs.exists()


def test_it_keeps_viewers_informed(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = make_job(alice, csv_of(60))
    token = importer.take(job)
    totals: list[int] = []
    monkeypatch.setattr(Job, "announce", lambda job: totals.append(Job.objects.get(pk=job.pk).total))
    clock = iter([0.0, 0.1, 0.3, 0.3, 0.4, 0.5, 0.6, 0.6, 0.7])
    with job.upload.file.open("rb") as stream:
        importer.read_all(job, token, files.read(stream, job.file_shape), lambda: next(clock))
    assert totals == [20, 50]


def test_it_wakes_viewers_while_it_loads(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 10
    monkeypatch.setattr(importer, "NEWS", 0.0)
    job = make_job(alice, csv_of(30))
    with TestCase.captureOnCommitCallbacks() as woken:
        importer.load(job)
    # One for each shard, and one for the new state.
    assert (len(woken), Job.objects.get(pk=job.pk).seq, Batch.objects.filter(job=job).count()) == (4, 4, 4)


def test_it_goes_on_where_a_dead_reader_stopped(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = make_job(alice, csv_of(45))
    interrupted(job, monkeypatch, shards=2)
    assert Item.objects.filter(job=job).count() == 20
    Job.objects.filter(pk=job.pk).update(load_expires=timezone.now() - timedelta(seconds=1))
    assert importer.load(Job.objects.get(pk=job.pk))
    assert [json.loads(payload)[0] for payload in
            Item.objects.filter(job=job).order_by("position").values_list("payload", flat=True)] == [
        f"item {at}" for at in range(45)
    ]  # fmt: skip
    assert wrong(job) == []


@pytest.mark.parametrize("case", FORMATS, ids=repr)
def test_it_makes_an_item_of_each_row(case: Case, alice: User) -> None:
    job = loaded(alice, case.data, name=case.name)

    found = Item.objects.filter(job=job).order_by("position").values_list("payload", flat=True)

    assert ([json.loads(payload) for payload in found], wrong(job)) == (case.values, [])


@pytest.mark.parametrize("case", FORMATS, ids=repr)
def test_it_goes_on_in_any_format(case: Case, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 2
    job = make_job(alice, case.data, name=case.name)
    interrupted(job, monkeypatch, 2)
    Job.objects.update(load_expires=timezone.now() - timedelta(seconds=1))
    importer.load(job)

    found = Item.objects.filter(job=job).order_by("position").values_list("payload", flat=True)

    assert ([json.loads(payload) for payload in found], wrong(job)) == (case.values, [])


@pytest.mark.parametrize("case", FILES, ids=repr)
def test_it_has_as_many_rows_as_the_preflight_says_from_end_to_end(case: Case, alice: User) -> None:
    said = files.preflight(io.BytesIO(case.data), case.name)
    job = loaded(alice, case.data, name=case.name)
    written = "".join(results.chunks(job, "jsonl")).split("\n")[:-1]
    table = list(csv.DictReader(io.StringIO("".join(results.chunks(job, "csv")), newline="")))

    assert (said.rows, said.bad_total) == (len(case.values), 0)
    assert [job.total, job.report["rows"], job.items.count()] == [said.rows] * 3
    assert [json.loads(line)["row"] for line in written] == list(range(1, said.rows + 1))
    assert [int(row["row"]) for row in table] == list(range(1, said.rows + 1))


def test_it_gives_a_batch_line_back_under_its_id(alice: User) -> None:
    line = '{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": []}}'
    job = loaded(alice, line, name="a.jsonl")

    found = json.loads("".join(results.chunks(job, "jsonl")))

    assert (found["key"], found["input"]["custom_id"]) == ("r-1", "r-1")


def test_it_refuses_a_second_reader(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = make_job(alice, csv_of(45))
    interrupted(job, monkeypatch, shards=2)
    assert not importer.load(Job.objects.get(pk=job.pk))


def test_it_stores_nothing_for_a_reader_that_was_replaced(alice: User) -> None:
    job = make_job(alice, csv_of(5))
    token = importer.take(job)
    Job.objects.filter(pk=job.pk).update(load_token="another")
    with pytest.raises(leases.LostLease), job.upload.file.open("rb") as stream:
        importer.read_all(job, token, files.read(stream, job.file_shape))
    assert Item.objects.filter(job=job).count() == 0


def test_it_says_that_it_lives_while_it_passes_over_what_is_stored(alice: User) -> None:
    job = make_job(alice, csv_of(20))
    token = importer.take(job)
    with job.upload.file.open("rb") as stream:
        importer.read_all(job, token, files.read(stream, job.file_shape))
    Job.objects.filter(pk=job.pk).update(load_token="another")
    with pytest.raises(leases.LostLease), job.upload.file.open("rb") as stream:
        importer.read_all(job, token, files.read(stream, job.file_shape))


def test_it_reads_by_the_clock_of_the_database(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(alice, csv_of(20))
    wrong_now = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr("django.utils.timezone.now", lambda: wrong_now)
    assert importer.take(job)
    soon = (Now() + timedelta(seconds=260), Now() + timedelta(seconds=280))
    assert Job.objects.filter(pk=job.pk, load_expires__range=soon).exists()


def test_it_stops_reading_when_a_person_gives_up(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_SHARD_SIZE = 10
    job = make_job(alice, csv_of(45))
    interrupted(job, monkeypatch, shards=2)
    job.cancel(alice)
    tasks.load_file(job.pk)
    job.refresh_from_db()
    assert (job.state, job.total) == (JobState.CANCELLED, 20)


def test_it_can_be_read_again_right_away(alice: User) -> None:
    job = loaded(alice, csv_of(2), start=False)
    assert (job.load_token, job.load_expires) == ("", None)


@pytest.mark.parametrize(
    ("text", "label", "key"),
    [
        ("query,id\ntea,7\n", "tea", "7"),
        ("query,custom_id,id\ntea,x,7\n", "tea", "x"),
        ("query,other\ntea,7\n", "tea", ""),
        ("other,query\n7,tea\n", "tea", ""),
    ],
)
def test_it_finds_label_and_key(text: str, label: str, key: str, alice: User) -> None:
    job = loaded(alice, text, processor="rewrite-query")
    assert (row(job, 0).label, row(job, 0).key) == (label, key)


def test_it_takes_the_columns_that_a_person_chose(alice: User) -> None:
    job = loaded(alice, "a,b,c\n1,2,3\n", label_column="b", key_column="c", mapping={})
    assert (row(job, 0).label, row(job, 0).key) == ("2", "3")


def test_it_learns_columns_of_json_lines_on_the_way(alice: User) -> None:
    job = loaded(alice, '{"a": 1}\n{"b": 2}\n', name="rows.jsonl", mapping={})
    assert job.columns == ["a", "b"]


@pytest.mark.parametrize("nasty", ["\\u0000", "\\ud800", "x\\u0000\\udfffy"])
def test_it_takes_whatever_json_can_say(nasty: str, alice: User) -> None:
    text = f'{{"id": "{nasty}", "name": "{nasty}"}}\n{{"{nasty}": 1}}\n'
    job = loaded(alice, text, name="rows.jsonl", mapping={"simulate": "name"})
    assert (job.state, job.total) == (JobState.QUEUED, 2)
    assert nasty in row(job, 0).payload


def test_it_bounds_labels_and_keys(alice: User) -> None:
    job = loaded(alice, f"query,id\n{'x' * 5000},{'y' * 5000}\n", processor="rewrite-query")
    assert (len(row(job, 0).label), len(row(job, 0).key)) == (200, 200)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"id,q\n1,{NASTY}\n", "rows.csv"),
        (f"id\tq\n1\t{NASTY}\n", "rows.tsv"),
        (f"{NASTY}\n", "rows.txt"),
        (f'{{"id": 1,\t"q": {json.dumps(NASTY)}}}\n', "rows.jsonl"),
        (f'{{"id": 1, "q": {json.dumps(NASTY, ensure_ascii=False)}}}\n', "rows.jsonl"),
    ],
)
def test_it_stores_what_the_file_says(text: str, name: str, alice: User) -> None:
    job = loaded(alice, text, name=name, mapping={}, label_column="q")
    cell = files.cells(row(job, 0).payload, job.file_shape, job.columns)[-1]
    assert (cell, row(job, 0).label) == (NASTY, NASTY)


def test_it_keeps_the_text_of_a_json_line(alice: User) -> None:
    text = '{"a":\t1e2, "a" : 10.50, "b": "\\u0000\\\\N \\\\. \\t"}'
    assert row(loaded(alice, text + "\n", name="rows.jsonl", mapping={}), 0).payload == text


def test_it_stays_small_over_large_rows(alice: User) -> None:
    job = make_job(alice, "name,simulate\n" + ("🐢" * 500_000 + ",ok\n") * 60)
    tracemalloc.start()
    try:
        importer.load(job)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (Item.objects.filter(job=job).count(), peak < 80_000_000) == (60, True)


def test_it_reads_a_hundred_thousand_rows_in_little_memory(alice: User) -> None:
    job = make_job(alice, "name,simulate\n" + "".join(f"item {at} {'x' * 60},ok\n" for at in range(100_000)))
    tracemalloc.start()
    try:
        importer.load(job)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert Item.objects.filter(job=job).count() == 100_000
    assert peak < 16_000_000
