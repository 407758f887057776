from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs.export import reader, results, streaming
from jobs.models import Item, Job
from tests.base import csv_of, lines, loaded, worked
from tests.steps import failure, feed, part_done, recorder_for


def table(job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(results.chunks(job, "csv")), newline="")))


def test_it_writes_every_row_in_the_order_of_the_file(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNK", 7)
    job = worked(alice, csv_of(50, lambda at: "fail:E" if at % 3 == 0 else "ok"))
    assert [row["name"] for row in table(job)] == [f"item {at}" for at in range(50)]
    assert [row["row"] for row in table(job)] == [str(at + 1) for at in range(50)]


def test_it_has_as_many_rows_in_json_lines(alice: User) -> None:
    job = worked(alice, csv_of(50))
    rows = [json.loads(line) for line in "".join(results.chunks(job, "jsonl")).splitlines()]
    assert [row["input"]["name"] for row in rows] == [f"item {at}" for at in range(50)]


def test_it_says_what_was_not_attempted(alice: User) -> None:
    job = loaded(alice, csv_of(4))
    part_done(job)
    assert [row["state"] for row in table(job)] == ["succeeded", "failed", "pending", "pending"]
    job.cancel(alice)
    assert [row["state"] for row in table(job)] == ["succeeded", "failed", "not attempted", "not attempted"]


def test_it_gives_the_fallback_beside_the_failure(alice: User) -> None:
    job = loaded(alice, "query\nwhat is it\n", processor="rewrite-query")
    feed(recorder_for(job), failure(0))
    job.refresh_from_db()
    (row,) = table(job)
    assert (row["state"], row["error_kind"]) == ("failed", "ValueError")
    assert "what is it" in "".join(value for name, value in row.items() if name.startswith("result"))


def test_it_writes_the_failed_rows_alone(alice: User) -> None:
    job = worked(alice, csv_of(8, lambda at: "fail:E" if at in (2, 5) else "ok"))
    assert lines(results.failed_chunks(job)) == [
        "name,simulate,row,error_kind,error,attempts",
        "item 2,fail:E,3,E,A simulated failure.,1",
        "item 5,fail:E,6,E,A simulated failure.,1",
    ]


def test_it_renames_what_the_file_has_already(alice: User) -> None:
    job = worked(alice, "name,row\na,7\n")
    assert table(job)[0]["batchweb.row"] == "1"
    assert lines(results.failed_chunks(job))[0] == "name,row,batchweb.row,error_kind,error,attempts"


def test_it_guards_formulas(alice: User) -> None:
    job = worked(alice, "name,simulate\n=1+1,ok\n")
    assert table(job)[0]["name"] == "'=1+1"


def test_it_reads_large_results_in_small_portions(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SIZE", 10_000)
    job = loaded(alice, csv_of(60))
    Item.objects.filter(job=job).update(result=json.dumps("x" * 2_000))
    sizes = [len(rows) for rows in reader.results(job)]
    assert sum(sizes) == 60
    # With the one by which it gets too much, and the items' own texts.
    assert max(sizes) == 5


@pytest.mark.django_db
def test_it_reads_fewer_rows_at_once_where_they_have_many_columns(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, csv_of(30))
    monkeypatch.setattr(reader, "CELLS", 9 * (1 + len(job.columns)))
    assert [len(some) for some in reader.results(job)] == [9, 9, 9, 3]


def test_it_streams_the_chunks() -> None:
    async def collected() -> list[bytes]:
        return [chunk async for chunk in streaming.streamed(iter([b"a", b"b"]))]

    assert asyncio.run(collected()) == [b"a", b"b"]


def test_it_ends_a_download_whose_taker_may_no_longer_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 1.0, 1.0, 1.9, 2.0])
    asked: list[int] = []

    def allowed() -> bool:
        asked.append(len(asked))
        return len(asked) < 2

    monkeypatch.setattr("jobs.export.streaming.time.monotonic", lambda: next(clock))
    pieces = streaming.while_allowed(iter([b"a", b"b", b"c", b"d"]), allowed)
    assert [next(pieces), next(pieces), next(pieces)] == [b"a", b"b", b"c"]
    assert len(asked) == 1
    with pytest.raises(streaming.Withdrawn):
        next(pieces)


def test_it_reads_the_next_chunk_while_one_is_used() -> None:
    read = threading.Event()

    def chunks() -> Iterator[int]:
        yield 1
        read.set()
        yield 2
        raise reader.Changed

    found = streaming.ahead(chunks())
    assert next(found) == 1
    assert read.wait(10)
    assert next(found) == 2
    with pytest.raises(reader.Changed):
        next(found)


@pytest.mark.parametrize(
    ("name", "file"),
    [("rows.csv", "rows-results.csv"), ("../../etc/x", "etc-x-results.csv"), ("a b.jsonl", "a-b-results.csv"),
     ("…", "CODE-results.csv")],
)  # fmt: skip
def test_it_names_the_download(name: str, file: str, db: Any) -> None:
    job = Job(name=name, code="CODE")
    assert results.file_name(job, "-results.csv") == file
