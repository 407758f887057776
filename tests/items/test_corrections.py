"""Files of fixed rows: which items they belong to, and what they change."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import actions, files, tasks
from jobs.export import results
from jobs.items import corrections
from jobs.items.corrections import Change, Comparison, InvalidCorrection
from jobs.models import Correction, Item, ItemState, Job, Upload
from jobs.models.job import Refused
from jobs.processors import Context, registry
from jobs.processors.simulate import Simulate
from tests.base import csv_of, loaded, states, worked
from tests.files.test_hostile import peak_below
from tests.steps import part_done, row, wrong


def failing(at: int) -> str:
    return "fail:Red" if at % 3 == 1 else "ok"


def failed_csv(job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(results.failed_chunks(job)), newline="")))


def written(rows: list[dict[str, str]], **how: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), **how)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def kept(job: Job, data: bytes, name: str = "failed.csv") -> Upload:
    return Upload.keep(ContentFile(data, name=name), name, job.owner)


def compared(job: Job, data: bytes, name: str = "failed.csv") -> Comparison:
    with corrections.opened(job, kept(job, data, name), job.owner_id) as rows:
        return rows.compare()


def payload(job: Job, position: int) -> Any:
    return json.loads(row(job, position).payload)


class TestMatching:
    def test_it_finds_nothing_changed_in_what_it_wrote_itself(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        found = compared(job, "".join(results.failed_chunks(job)).encode())
        assert (found.rows, found.changed, found.unchanged, found.problems, found.by) == (3, 0, 3, 0, "row")

    def test_it_matches_by_row_in_any_order(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        rows = [r | {"simulate": f"slow:{r['row']}"} for r in reversed(failed_csv(job))]
        found = compared(job, written(rows))
        assert [(c.row, c.cells) for c in found.changes] == [
            (at, (("simulate", "fail:Red", f"slow:{at}"),)) for at in (8, 5, 2)
        ]

    def test_it_matches_by_key_where_there_is_no_row(self, alice: User) -> None:
        job = worked(alice, "id,simulate\n" + "".join(f"k{at},{failing(at)}\n" for at in range(6)))
        found = compared(job, b"id,simulate\nk4,ok\nk1,ok\nk9,ok\n,ok\n")
        assert [c.row for c in found.changes] == [5, 2]
        assert [p.text for p in found.first_problems] == [
            "No failed item of the job has the key “k9”.", "“id” is empty, so that nothing says which row it is.",
        ]  # fmt: skip

    def test_it_does_not_choose_between_items_with_the_same_key(self, alice: User) -> None:
        job = worked(alice, "id,simulate\nsame,fail:Red\nsame,fail:Red\n")
        found = compared(job, b"id,simulate\nsame,ok\n")
        assert found.first_problems[0].text == "Several items have the key “same”; the column “row” is needed."

    def test_it_uses_the_prefix_where_the_file_has_a_row_of_its_own(self, alice: User) -> None:
        job = worked(alice, "row,simulate\nx,ok\ny,fail:Red\n")
        rows = [r | {"simulate": "ok"} for r in failed_csv(job)]
        found = compared(job, written(rows))
        assert (found.by, found.changes[0].row) == ("batchweb.row", 2)

    @pytest.mark.parametrize(
        ("said", "sentence"),
        [
            ("99", "The job has no row 99; it has 9."),
            ("0", "The job has no row 0; it has 9."),
            ("second", "“second” in “row” is no row number."),
            ("", "“row” is empty."),
            ("1", "Row 1 has succeeded already."),
        ],
    )
    def test_it_says_why_a_row_changes_nothing(self, said: str, sentence: str, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        found = compared(job, f"name,simulate,row\nx,ok,{said}\n".encode())
        assert [p.text for p in [*found.first_problems, *found.first_left]] == [sentence]
        assert found.changed == 0

    def test_it_takes_the_first_of_two_rows_for_one_item(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        found = compared(job, b"simulate,row\nok,2\nslow:1,2\n")
        assert found.changes[0].cells == (("simulate", "fail:Red", "ok"),)
        assert "more than once" in found.first_problems[0].text

    def test_it_says_what_is_wrong_with_a_row_that_cannot_be_read(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        found = compared(job, b"simulate,row\nok,2\nok,5,6,7\n")
        assert (found.changed, found.problems) == (1, 1)
        assert found.first_problems[0].row == 2

    def test_it_names_columns_that_it_passes_over(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        rows = [r | {"note": "mine"} for r in failed_csv(job)]
        assert compared(job, written(rows)).passed_over == ["note"]

    @pytest.mark.parametrize("data", [b"simulate,name\nok,x\n", b"row,other\n2,x\n"])
    def test_it_refuses_a_file_that_corrects_nothing(self, data: bytes, alice: User) -> None:
        with pytest.raises(InvalidCorrection):
            compared(worked(alice, csv_of(9, failing)), data)

    def test_it_understands_what_spreadsheets_make_of_it(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        rows = [r | {"simulate": "ok"} for r in failed_csv(job)]
        semicolons = written(rows, delimiter=";").decode().encode("utf-16")
        book = openpyxl.Workbook()
        sheet = book.create_sheet("failed", 0)
        sheet.append(list(rows[0]))
        for one in rows:
            sheet.append([int(value) if name == "row" else value for name, value in one.items()])
        stored = io.BytesIO()
        book.save(stored)
        assert compared(job, semicolons).changed == 3
        assert compared(job, stored.getvalue(), "failed.xlsx").changed == 3

    def test_it_says_what_the_processor_refuses(self, alice: User) -> None:
        job = worked(alice, "url\nhttp://127.0.0.1/\n", processor="fetch-url", attempts=1)
        found = compared(job, b"url,row\n,1\n")
        assert "has nothing in “url”" in found.first_problems[0].text


class TestSizes:
    """A few bytes of corrections may be about very large rows."""

    @pytest.fixture
    def heavy(self, alice: User) -> Job:
        rows = [f"{'x' * 1_000_000},fail:Red\n" for _ in range(40)]
        return worked(alice, "name,simulate\n" + "".join(rows))

    def test_it_compares_large_rows_in_little_memory(self, heavy: Job) -> None:
        data = b"simulate,row\n" + b"".join(b"ok,%d\n" % at for at in range(1, 41))
        with peak_below(40):
            found = compared(heavy, data)
        assert found.changed == 40

    def test_it_corrects_large_rows_in_little_memory(self, heavy: Job) -> None:
        upload = kept(heavy, b"simulate,row\n" + b"".join(b"ok,%d\n" % at for at in range(1, 41)))
        with peak_below(40):
            assert actions.correct_from(heavy, upload, heavy.owner) == 40
        assert payload(heavy, 39) == ["x" * 1_000_000, "ok"]
        assert wrong(heavy) == []

    def test_it_shows_little_of_large_cells(self, alice: User) -> None:
        job = worked(alice, csv_of(2, lambda at: "fail:Red"))
        found = compared(job, f"name,simulate,row\n{'x' * 100_000},ok,1\n".encode())
        assert [len(new) for _, _, new in found.changes[0].cells] == [corrections.LONG, 2]

    def test_it_shows_some_of_many_cells(self, alice: User) -> None:
        names = [f"c{at}" for at in range(100)]
        job = worked(alice, f"simulate,{','.join(names)}\nfail:Red,{','.join('a' for _ in names)}\n")
        found = compared(job, f"{','.join(names)},row\n{','.join('b' for _ in names)},1\n".encode())
        assert (len(found.changes[0].cells), found.changes[0].more) == (corrections.WIDE, 60)

    def test_it_refuses_more_than_the_disk_is_for(self, heavy: Job, settings: Any) -> None:
        settings.JOBS_MAX_UPLOAD_BYTES = 5_000_000
        upload = kept(heavy, b"simulate,row\n" + b"".join(b"ok,%d\n" % at for at in range(1, 41)))
        with pytest.raises(Refused, match="Send them in several files"):
            actions.correct_from(heavy, upload, heavy.owner)

    def test_it_finds_many_keys_in_little_memory(self, alice: User) -> None:
        rows = "".join(f"key {at} {'k' * 150},fail:Red\n" for at in range(20_000))
        job = loaded(alice, "id,simulate\n" + rows)
        Item.objects.filter(job=job).update(state=ItemState.FAILED)
        with peak_below(6):
            found = compared(job, f"id,simulate\nkey 19999 {'k' * 150},ok\nkey 3,ok\n".encode())
        assert (found.changed, found.problems) == (1, 1)


class TestPayloads:
    def test_it_undoes_the_guard_against_formulas(self, alice: User) -> None:
        job = worked(alice, "name,simulate\n=1+1,fail:Red\n'=x,fail:Red\n-5,fail:Red\n")
        rows = [r | {"simulate": "ok"} for r in failed_csv(job)]
        assert [r["name"] for r in rows] == ["'=1+1", "''=x", "-5"]
        actions.correct_from(job, kept(job, written(rows)), alice)
        assert [payload(job, at) for at in range(3)] == [["=1+1", "ok"], ["'=x", "ok"], ["-5", "ok"]]

    @settings(max_examples=60, deadline=None)
    @given(cell=st.text(max_size=30), other=st.text(max_size=30))
    def test_it_reads_back_any_cell(self, cell: str, other: str) -> None:
        shape = files.Shape("csv", "utf-8", ",", True, ("a", "b"))
        job = Job(shape=shape.to_dict(), columns=["a", "b"], processor="gone")
        item = Item(position=0, payload=json.dumps([cell, "x"]))
        found = corrections.fix(job, item, {"a": files.unguard(files.guard(other))})
        assert isinstance(found, Change)
        assert json.loads(found.fixed.payload) == [other, "x"]
        assert bool(found.cells) == (other != cell)

    def test_it_keeps_the_types_of_json_values(self, alice: User) -> None:
        lines = [{"n": 1, "s": "2", "deep": {"a": [1]}, "simulate": "fail:Red"}, {"n": 5, "simulate": "ok"}]
        job = worked(alice, "".join(json.dumps(line) + "\n" for line in lines), name="rows.jsonl")
        (one,) = failed_csv(job)
        assert (one["n"], one["s"], one["deep"]) == ("1", "2", '{"a": [1]}')
        found = one | {"n": "7", "s": "3", "simulate": "ok"}
        actions.correct_from(job, kept(job, written([found])), alice)
        assert payload(job, 0) == {"n": 7, "s": "3", "deep": {"a": [1]}, "simulate": "ok"}

    def test_it_leaves_columns_alone_that_the_file_lacks(self, alice: User) -> None:
        job = worked(alice, csv_of(3, failing))
        actions.correct_from(job, kept(job, b"simulate,row\nok,2\n"), alice)
        assert payload(job, 1) == ["item 1", "ok"]

    def test_it_names_the_item_anew(self, alice: User) -> None:
        job = worked(alice, "id,simulate\na,fail:Red\n")
        actions.correct_from(job, kept(job, b"id,simulate,row\nb,ok,1\n"), alice)
        assert row(job, 0).key == "b"


class TestApplying:
    def test_it_tries_the_changed_rows_only(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        rows = failed_csv(job)
        rows[0]["simulate"] = "ok"
        assert actions.correct_from(job, kept(job, written(rows)), alice) == 1
        assert [at for at, state in enumerate(states(job)) if state == "pending"] == [1]

    def test_it_tries_the_unchanged_rows_too_when_asked(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        rows = failed_csv(job)
        rows[0]["simulate"] = "ok"
        assert actions.correct_from(job, kept(job, written(rows)), alice, unchanged=True) == 3
        assert Correction.objects.filter(job=job).count() == 1

    def test_it_refuses_a_file_without_changes(self, alice: User) -> None:
        job = worked(alice, csv_of(9, failing))
        with pytest.raises(Refused, match="nothing to correct"):
            actions.correct_from(job, kept(job, written(failed_csv(job))), alice)

    def test_it_keeps_the_file(self, alice: User) -> None:
        job = worked(alice, csv_of(3, failing))
        upload = kept(job, b"simulate,row\nok,2\n")
        actions.correct_from(job, upload, alice)
        assert not upload.discard()
        job.refresh_from_db()
        assert job.run
        assert job.run.upload == upload

    def test_it_fixes_while_the_job_runs(self, alice: User) -> None:
        job = loaded(alice, csv_of(8))
        part_done(job)
        assert actions.correct_from(job, kept(job, b"simulate,row\nslow:0,2\nslow:0,5\n"), alice) == 1
        tasks.work()
        assert payload(job, 4) == ["item 4", "ok"]
        assert states(job) == ["succeeded"] * 8


def ways(at: int) -> str:
    """3 of 100 fail, in three ways; one of them hangs."""
    if at == 4_711:
        return "hang"
    return f"fail:Way{at % 3}" if at % 34 == 7 else "ok"


class Noting(Simulate):
    """Writes down each item that it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        self.begun.append(context.position)
        return super().process(inputs, context)


def result(job: Job) -> list[dict[str, str]]:
    """The result, of which line k must answer line k of the file."""
    out = list(csv.DictReader(io.StringIO("".join(results.chunks(job, "csv")), newline="")))
    assert [one["row"] for one in out] == [str(at) for at in range(1, 10_001)]
    return out


def test_it_takes_ten_thousand_rows_round(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down as failed.csv, fixed, up again: all in order, and each success was run once."""
    ledger = Noting()
    monkeypatch.setitem(registry._processors, "simulate", ledger)
    job = worked(alice, csv_of(10_000, ways), timeout=0.3, workers=20)
    rows = failed_csv(job)
    broken = {int(one["row"]) - 1 for one in rows}
    assert broken == {at for at in range(10_000) if ways(at) != "ok"}
    assert len(broken) == 295
    assert {one["error_kind"] for one in rows} == {"Way0", "Way1", "Way2", "timeout"}
    first = result(job)
    assert [one["name"] for one in first] == [f"item {at}" for at in range(10_000)]
    before = list(Item.objects.filter(job=job, state=2).order_by("position").values())

    fixed = [one | {"simulate": "ok", "name": f"fixed {one['row']}"} for one in rows]
    assert actions.correct_from(job, kept(job, written(fixed)), alice) == 295
    names = [f"fixed {at + 1}" if at in broken else f"item {at}" for at in range(10_000)]
    meanwhile = result(job)
    assert [one["name"] for one in meanwhile] == names
    assert {at for at, one in enumerate(meanwhile) if one["state"] != "succeeded"} == broken

    tasks.work()
    job.refresh_from_db()
    out = result(job)
    assert {one["state"] for one in out} == {"succeeded"}
    assert [one["name"] for one in out] == names
    assert [one["result.position"] for one in out] == [str(at) for at in range(10_000)]
    assert [one["attempts"] for one in out] == ["2" if at in broken else "1" for at in range(10_000)]
    assert Counter(ledger.begun) == {at: 2 if at in broken else 1 for at in range(10_000)}
    positions = [item["position"] for item in before]
    assert list(Item.objects.filter(job=job, position__in=positions).order_by("position").values()) == before
    assert [out[at] for at in positions] == [first[at] for at in positions]
    assert wrong(job) == []
