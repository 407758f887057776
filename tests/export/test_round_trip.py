"""Whatever the rows hold comes back from every format, at any moment."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from jobs import actions, tasks
from jobs.export import reader, results
from jobs.files import unguard
from jobs.files.flattening import Key, keys_of
from jobs.items.choice import Choice
from jobs.models import Item, ItemState, Job
from tests.base import csv_of, loaded, worked
from tests.steps import feed, part_done, recorder_for, success

KEYS: Final[tuple[Key, ...]] = (("a", "b"), ("a", "c"), "d")


def whole(job: Job, format: str) -> bytes:
    return b"".join(results.pieces(job, format))


def of_csv(job: Job) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(whole(job, "csv").decode(), newline=""))
    return [{unguard(name): unguard(cell) for name, cell in row.items()} for row in rows]


def of_xlsx(job: Job) -> list[dict[str, Any]]:
    sheet = load_workbook(io.BytesIO(whole(job, "xlsx")), read_only=True)["Results"]
    names, *rows = [["" if cell is None else unescape(str(cell)) for cell in row] for row in sheet.values]
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=True)) for row in rows]


def of_jsonl(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in whole(job, "jsonl").decode().split("\n")[:-1]]


def of_json(job: Job) -> list[dict[str, Any]]:
    return list(json.loads(whole(job, "json")))


READERS: dict[str, Callable[[Job], list[dict[str, Any]]]] = {
    "csv": of_csv, "xlsx": of_xlsx, "jsonl": of_jsonl, "json": of_json,
}  # fmt: skip


def in_order(job: Job) -> bool:
    """Whether line k of each format answers line k of the file."""
    found = []
    for read in READERS.values():
        rows = read(job)
        found.append([int(row["row"]) for row in rows] == list(range(1, job.total + 1)))
        names = [row["name"] if "name" in row else row["input"]["name"] for row in rows]
        found.append(names == [f"item {at}" for at in range(job.total)])
    return all(found)


def test_it_answers_each_line_before_during_and_after(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNK", 7)
    monkeypatch.setattr(reader, "FIRST", 3)
    job = loaded(alice, csv_of(30, lambda at: "fail:E" if at % 3 == 0 else "ok"))
    assert in_order(job)
    part_done(job)
    assert in_order(job)
    tasks.work()
    job.refresh_from_db()
    assert in_order(job)
    actions.retry(job, alice)
    job.refresh_from_db()
    assert in_order(job)
    tasks.work()
    job.refresh_from_db()
    assert in_order(job)


def test_it_says_the_same_in_all_formats(alice: User) -> None:
    job = worked(alice, "id,name,simulate\nk1,a,ok\nk2,=b,fail:E\n")
    kinds = {format: [(str(row["row"]), row["state"], row["error_kind"], row["key"]) for row in read(job)]
             for format, read in READERS.items()}  # fmt: skip
    assert set(map(tuple, kinds.values())) == {(("1", "succeeded", "", "k1"), ("2", "failed", "E", "k2"))}


def test_it_has_an_empty_array_of_no_rows(alice: User) -> None:
    job = worked(alice, csv_of(2))
    chosen = Choice("failed")
    assert json.loads("".join(results.chunks(job, "json", chosen))) == []


def test_it_spreads_what_is_nested_in_tables_only(alice: User) -> None:
    job = loaded(alice, csv_of(2))
    value = {"a": {"b": 1, "c": [1, 2]}, "d": "=x"}
    assert keys_of(value) == KEYS
    feed(recorder_for(job), *(success(at, json.dumps(value), keys=KEYS) for at in range(2)))
    job.refresh_from_db()
    assert of_csv(job)[1]["result.a.b"] == of_xlsx(job)[1]["result.a.b"] == "1"
    assert of_csv(job)[1]["result.a.c"] == of_xlsx(job)[1]["result.a.c"] == "[1, 2]"
    assert of_csv(job)[1]["result.d"] == of_xlsx(job)[1]["result.d"] == "=x"
    assert of_jsonl(job)[1]["result"] == of_json(job)[1]["result"] == value


def test_it_has_a_place_for_a_key_that_comes_up_meanwhile(alice: User) -> None:
    job = loaded(alice, csv_of(3))
    part_done(job)
    job.refresh_from_db()
    pieces = results.chunks(job, "csv")
    header = next(pieces)
    Item.objects.filter(job=job, position=2).update(state=ItemState.SUCCEEDED, result='{"new": 7}')
    rows = list(csv.DictReader(io.StringIO(header + "".join(pieces), newline="")))
    assert rows[2]["result"] == '{"new": 7}'


def test_it_breaks_off_where_the_job_became_another(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FIRST", 2)
    job = loaded(alice, csv_of(9))
    pieces = results.pieces(job, "jsonl")
    next(pieces)
    Job.objects.filter(pk=job.pk).update(readings=job.readings + 1)
    with pytest.raises(reader.Changed):
        list(pieces)


@pytest.mark.parametrize("format", results.FORMATS)
def test_it_holds_few_rows_at_a_time(alice: User, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SIZE", 200_000)
    job = loaded(alice, csv_of(1_000))
    Item.objects.filter(job=job).update(state=ItemState.SUCCEEDED, result=json.dumps("x" * 20_000))
    sum(map(len, results.pieces(job, format)))  # what is loaded once is no part of it
    tracemalloc.start()
    try:
        sent = sum(map(len, results.pieces(job, format)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent > (20_000_000 if format != "xlsx" else 30_000)
    assert most < 4_000_000


CELLS = st.text(max_size=5) | st.text(alphabet="=+-@\t\r\n'1.e,\";\u2400 ", max_size=5)


def stored(text: str) -> str:
    """As the readers and the recorder keep it."""
    return text.replace("\0", "\u2400").encode("utf-8", "replace").decode()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_it_gives_every_row_back(alice: User, table: list[tuple[str, str, str]]) -> None:
    table = [(stored(one), stored(two), stored(error)) for one, two, error in table]
    job = loaded(alice, csv_of(len(table)), start=False)
    job.cancel()
    for at, (one, two, error) in enumerate(table):
        Item.objects.filter(job=job, position=at).update(
            payload=json.dumps([one, "ok"]), result=json.dumps({"answer": two}), error=error, state=ItemState.FAILED
        )
    Job.objects.filter(pk=job.pk).update(result_keys=["answer"])
    job.refresh_from_db()
    for read in (of_csv, of_xlsx):
        assert [(row["name"], row["result.answer"], row["error"]) for row in read(job)] == table
    for read in (of_jsonl, of_json):
        assert [(row["input"]["name"], row["result"]["answer"], row["error"]) for row in read(job)] == table
