"""One row that is edited on its page, and tried again."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from unittest.mock import patch

from django.test import Client

from jobs import actions, tasks
from jobs.export import results
from jobs.forms import item_edit
from jobs.forms.item_edit import fingerprint
from jobs.models import Activity, Correction, Item, Job, Run
from jobs.models import item as item_module
from jobs.models.states import POSSIBLE
from tests.base import People, csv_of, states, undone, worked
from tests.steps import wrong
from tests.views.fixed import BEFORE, OPEN, STATES, differing, fresh, job_in, operator, rows, said, signed_in, tried

NOT_FAILED = "has succeeded, or waits or runs: only a row that failed can be edited."
OVERTAKEN = "Somebody else edited this row meanwhile."
UNCHANGED = "Nothing is changed yet. To try the row as it is, use “Retry this row”."
HOSTILE = '"><script>alert(1)</script>'


def failing(at: int) -> str:
    return "fail:Red" if at % 3 == 1 else "ok"


class EditCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def url(self, job: Job, row: int) -> str:
        return f"/jobs/{job.code}/items/{row}/edit/"

    def form(self, job: Job, row: int, client: Client | None = None) -> dict[str, str]:
        """What a browser would send of the form as it is."""
        form = (client or self.client).get(self.url(job, row)).context["form"]
        return {bound.html_name: bound.value() for bound in form}

    def edit(self, job: Job, row: int, client: Client | None = None, **cells: str) -> Any:
        """Sends the form with other cells, which are named by their columns."""
        sent = self.form(job, row, client) | {f"cell_{job.columns.index(name)}": text for name, text in cells.items()}
        return (client or self.client).post(self.url(job, row), sent)

    def payload(self, job: Job, row: int) -> Any:
        return json.loads(Item.objects.get(job=job, position=row - 1).payload)

    def fixed(self, answer: Any, job: Job, row: int) -> None:
        assert answer.status_code == 302, answer.context["form"].errors
        assert answer["Location"] == f"/jobs/{job.code}/items/{row}/"
        assert said(answer) == f"Row {row} was edited and is tried again."

    def refused(self, answer: Any, sentence: str) -> None:
        self.assertContains(answer, sentence, status_code=422)
        assert not Correction.objects.exists()


class StatesTests(EditCase):
    """Each row × each state of its job."""

    jobs: dict[str, Job]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.jobs = {state: job_in(state, cls.alice) for state in STATES}

    def send(self, job: Job, row: int) -> Any:
        seen = fingerprint(Item.objects.get(job=job, position=row - 1).payload)
        return self.client.post(self.url(job, row), {"seen": seen, "cell_0": "fixed", "cell_1": "ok"})

    def test_a_row_that_is_too_long_for_a_page_is_cut_there_and_nowhere_else(self) -> None:
        job = worked(self.alice, "name,simulate\n" + "x" * 300 + ",fail:Broken\n")
        whole = Item.objects.get(job=job)
        with patch.object(item_module, "WHOLE", 200), patch.object(item_module, "BEGINNING", 100):
            page = self.client.get(f"/jobs/{job.code}/items/1/").content.decode()
            assert "This row is too long for a page." in page
            assert "x" * 90 in page
            assert "x" * 101 not in page
            answer = self.client.get(self.url(job, 1))
        assert answer.status_code == 302
        assert "too large to be edited" in said(answer)
        assert Item.objects.get(job=job).payload == whole.payload

    def test_it_fixes_exactly_the_row(self) -> None:
        for state in (*OPEN, "cancelled", "finished"):
            for row in (2, 4, 8, *([5] if state == "cancelled" else [])):
                with self.subTest(state=state, row=row), undone():
                    job = self.jobs[state]
                    before = rows(job)
                    self.fixed(self.send(job, row), job, row)
                    after = rows(job)
                    assert differing(before, after) == {row}
                    assert (after[row]["state"], after[row]["payload"]) == (0, '["fixed","ok"]')
                    assert (Run.objects.latest("pk").kind, Run.objects.latest("pk").items) == ("correction", 1)
                    assert wrong(job) == []

    def test_it_works_on_nothing_else_in_a_job_that_had_ended(self) -> None:
        for state in ("cancelled", "finished"):
            for row in (2, 8):
                with self.subTest(state=state, row=row):
                    job = job_in(state, self.alice)
                    for other in self.jobs.values():
                        Job.objects.filter(pk=other.pk).update(state="cancelled")
                    self.send(job, row)
                    assert tried(job) == {row}
                    assert fresh(job).state == state

    def test_it_says_why_not_and_changes_nothing(self) -> None:
        for state in STATES:
            for row in range(1, 9):
                sentence = self.why_not(state, row)
                if not sentence:
                    continue
                with self.subTest(state=state, row=row), undone():
                    job = self.jobs[state]
                    before, told = rows(job), Activity.objects.count()
                    self.assertContains(self.send(job, row), sentence, status_code=422)
                    if state != "cancelling" or row == 1:
                        shown = self.client.get(self.url(job, row))
                        assert (shown.status_code, said(shown)) == (302, sentence)
                    assert differing(before, rows(job)) == set()
                    assert (Activity.objects.count(), Correction.objects.count()) == (told, 0)

    def why_not(self, state: str, row: int) -> str:
        if state in BEFORE:
            return POSSIBLE["retry"][1]
        if state == "cancelling":
            if row > 4 and row < 8:
                return ""  # what is in flight looks as it did before it was claimed
            return f"Row 1 {NOT_FAILED}" if row == 1 else "Items of this job are still in flight."
        open_rows = {"flawless": (), "cancelled": (2, 3, 4, 5, 6, 7, 8)}.get(state, (2, 3, 4, 8))
        return "" if row in open_rows else f"Row {row} {NOT_FAILED}"


class HistoryTests(EditCase):
    def setUp(self) -> None:
        super().setUp()
        self.job = worked(self.alice, csv_of(6, failing))

    def test_it_keeps_the_old_payload_and_shows_the_new_one_in_the_result(self) -> None:
        self.fixed(self.edit(self.job, 2, name="renamed", simulate="ok"), self.job, 2)
        tasks.work()
        kept = Correction.objects.get(job=self.job)
        assert (kept.position, kept.payload, kept.run) == (1, '["item 1","fail:Red"]', fresh(self.job).run)
        page = self.client.get(f"/jobs/{self.job.code}/items/2/")
        self.assertContains(page, "fail:Red")
        self.assertContains(page, "by alice")
        out = list(csv.DictReader(io.StringIO("".join(results.chunks(fresh(self.job), "csv")), newline="")))
        assert [(one["name"], one["state"]) for one in out][:3] == [
            ("item 0", "succeeded"), ("renamed", "succeeded"), ("item 2", "succeeded")
        ]  # fmt: skip
        assert states(self.job) == ["succeeded", "succeeded", "succeeded", "succeeded", "failed", "succeeded"]

    def test_it_keeps_each_of_several_payloads(self) -> None:
        for at in range(3):
            self.edit(self.job, 2, name=f"name {at}", simulate=f"fail:Try{at}")
            tasks.work()
        found = [json.loads(one.payload)[1] for one in Correction.objects.filter(job=self.job).order_by("pk")]
        assert found == ["fail:Red", "fail:Try0", "fail:Try1"]
        assert rows(self.job)[2]["attempts"] == 4

    def test_it_says_who_did_it(self) -> None:
        self.client.force_login(self.sam)
        self.edit(self.job, 2, simulate="ok")
        told = Activity.objects.filter(job=self.job).latest("pk")
        assert (told.text, told.by, told.run) == ("Edited row 2", self.sam, fresh(self.job).run)

    def test_it_finds_nothing_to_do_where_nothing_was_typed(self) -> None:
        self.refused(self.edit(self.job, 2), UNCHANGED)
        assert rows(self.job)[2]["state"] == 3

    def test_it_says_what_the_processor_refuses(self) -> None:
        job = worked(self.alice, "url\nhttp://127.0.0.1/\n", processor="fetch-url", attempts=1)
        self.refused(self.edit(job, 1, url=""), "Row 1 has nothing in “url”")

    def test_it_lets_only_a_row_be_edited_that_is_there(self) -> None:
        for row in (0, 7, 10**8):
            assert self.client.get(self.url(self.job, row)).status_code == 404
            assert self.client.post(self.url(self.job, row)).status_code == 404
        assert self.client.get(self.url(self.job, 10**30)).status_code == 404

    def test_it_wants_to_know_what_was_seen(self) -> None:
        self.refused(self.client.post(self.url(self.job, 2), {"cell_1": "ok"}), "This field is required.")
        self.refused(self.client.post(self.url(self.job, 2), {"seen": "x\0", "cell_1": "ok"}), "Null characters")

    def test_it_takes_no_cell_for_another(self) -> None:
        sent = self.form(self.job, 2) | {"cell_9": "x", "cell_x": "y", "cell_1": "ok"}
        self.fixed(self.client.post(self.url(self.job, 2), sent), self.job, 2)
        assert self.payload(self.job, 2) == ["item 1", "ok"]


class TextTests(EditCase):
    """What people and browsers type, and what does not fit into a form."""

    def job(self, *cells: str) -> Job:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([["name", "simulate"], *([cell, "fail:Red"] for cell in cells)])
        return worked(self.alice, text.getvalue())

    def test_it_shows_hostile_cells_as_text(self) -> None:
        job = self.job(HOSTILE)
        for answer in (self.client.get(self.url(job, 1)), self.edit(job, 1, simulate=HOSTILE)):
            assert HOSTILE.encode() not in answer.content
            self.assertContains(answer, "&quot;&gt;&lt;script&gt;", status_code=answer.status_code)

    def test_it_keeps_the_line_ends_of_a_cell(self) -> None:
        for before, typed, after in (
            ("a\nb", "a\r\nb", None),
            ("a\r\nb", "a\r\nb", None),
            ("a\rb", "a\r\nb", None),
            ("a\nb", "a\r\nb\r\nc", "a\nb\nc"),
            ("a\r\nb", "a\r\nb\r\nc", "a\r\nb\r\nc"),
            ("a", "a\r\nb", "a\nb"),
            ("\n a ", "\r\n a ", None),
            (" a ", "a", "a"),
        ):
            with self.subTest(before=before, typed=typed):
                job = self.job(before)
                answer = self.edit(job, 1, name=typed)
                if after is None:
                    self.refused(answer, UNCHANGED)
                else:
                    assert self.payload(job, 1)[0] == after
                    Correction.objects.all().delete()

    def test_it_sends_back_a_cell_that_begins_with_a_line_end(self) -> None:
        """A browser drops the first line end of a text field, so there has to be one more."""
        page = self.client.get(self.url(self.job("\nx"), 1)).content.decode()
        assert ">\n\nx</textarea>" in page.replace("\r\n", "\n")

    def test_it_takes_no_formula_for_a_guarded_one(self) -> None:
        job = self.job("'=1")
        self.edit(job, 1, name="'=2")
        assert self.payload(job, 1)[0] == "'=2"

    def test_it_says_that_nul_is_no_text(self) -> None:
        self.refused(self.edit(self.job("a"), 1, name="a\0b"), "Null characters are not allowed.")

    def test_it_stores_any_other_text(self) -> None:
        for text in ("😀", "\u202eabc", "\ufffd", "\x01\x1f", "'; DROP TABLE jobs_item; --", "%s %(x)s {rows}"):
            with self.subTest(text=text):
                job = self.job("a")
                self.fixed(self.edit(job, 1, name=text), job, 1)
                assert self.payload(job, 1)[0] == text

    def test_it_sends_a_row_that_is_too_large_by_file(self) -> None:
        job = self.job("ä" * 400)
        with patch.object(item_edit, "LARGEST", 800), patch("jobs.views.item_edit.LARGEST", 800):
            answer = self.client.get(self.url(job, 1), follow=True)
            self.assertContains(answer, "This row is too large to be edited on a page. Take the failed rows home")
            sent = {"seen": fingerprint(Item.objects.get(job=job).payload), "cell_0": "small"}
            self.refused(self.client.post(self.url(job, 1), sent), "This row is too large to be edited on a page.")
        assert self.payload(job, 1)[0] == "ä" * 400

    def test_it_takes_a_large_row(self) -> None:
        job = self.job("x\n" * 200_000)
        self.fixed(self.edit(job, 1, simulate="ok"), job, 1)
        assert self.payload(job, 1) == ["x\n" * 200_000, "ok"]

    def test_it_has_fields_for_300_columns_those_in_use_first(self) -> None:
        names = [f"c{at}" for at in range(310)] + ["simulate"]
        cells = [f"v{at}" for at in range(310)] + ["fail:Red"]
        job = worked(self.alice, f"{','.join(names)}\n{','.join(cells)}\n")
        page = self.client.get(self.url(job, 1))
        shown = [cell["field"].label for cell in page.context["form"].cell_fields]
        assert (len(shown), shown[:2], shown[-1]) == (300, ["simulate", "c0"], "c298")
        self.assertContains(page, "11 more columns of the job have no field here, and stay as they are.")
        sent = self.form(job, 1) | {"cell_310": "ok", "cell_5": "fixed", "cell_305": "not shown"}
        self.fixed(self.client.post(self.url(job, 1), sent), job, 1)
        assert self.payload(job, 1) == [*cells[:5], "fixed", *cells[6:310], "ok"]

    def test_it_fixes_a_row_of_too_many_cells(self) -> None:
        job = worked(self.alice, "name,simulate\na,ok\nb,ok,c\n")
        assert self.form(job, 2)["cell_0"] == "b"
        self.fixed(self.edit(job, 2, name="b;c"), job, 2)
        tasks.work()
        assert (self.payload(job, 2), states(job)) == (["b;c", "ok"], ["succeeded", "succeeded"])


class JsonTests(EditCase):
    def job(self, *lines: str) -> Job:
        return worked(self.alice, "".join(f"{line}\n" for line in lines), name="rows.jsonl")

    def text(self, job: Job, row: int = 1) -> str:
        return Item.objects.get(job=job, position=row - 1).payload

    def test_it_keeps_the_type_of_each_value(self) -> None:
        line = {"n": 1, "f": 0.5, "s": "2", "b": True, "z": None, "deep": {"a": [1]}, "simulate": "fail:Red"}
        job = self.job(json.dumps(line))
        changed: dict[str, Any] = {
            "n": "7",
            "f": "0.25",
            "s": "3",
            "b": "false",
            "z": "8",
            "deep": '{"a": [2]}',
            "simulate": "ok",
        }
        self.edit(job, 1, **changed)
        assert self.payload(job, 1) == {
            "n": 7, "f": 0.25, "s": "3", "b": False, "z": 8, "deep": {"a": [2]}, "simulate": "ok"
        }  # fmt: skip

    def test_it_leaves_what_was_not_edited_as_it_was_written(self) -> None:
        numbers = '"price": 10.50, "big": 12345678901234567890123, "e": 1e2'
        job = self.job(f'{{{numbers}, "u": "\\u00e4\\ud800", "simulate": "fail:Red"}}')
        self.edit(job, 1, simulate="ok")
        for part in ("10.50", "12345678901234567890123", "1e2", '"\\u00e4\\ud800"'):
            assert part in self.text(job)
        out = "".join(results.chunks(fresh(job), "jsonl"))
        assert json.loads(out)["input"]["simulate"] == "ok"
        assert '"price":10.50' in out

    def test_it_writes_a_number_as_it_was_typed(self) -> None:
        job = self.job('{"price": 1.5, "simulate": "fail:Red"}')
        self.edit(job, 1, price="10.50")
        assert '"price":10.50' in self.text(job)

    def test_it_takes_for_text_what_is_no_json(self) -> None:
        for typed in ("NaN", "Infinity", "-Infinity", "1e999x", "[1", "[" * 5_000, "1" * 5_000, "０"):
            with self.subTest(typed=typed[:12]):
                job = self.job('{"n": 1, "simulate": "fail:Red"}')
                self.fixed(self.edit(job, 1, n=typed), job, 1)
                assert self.payload(job, 1)["n"] == typed

    def test_it_stores_what_only_json_can_spell(self) -> None:
        for typed in ('"\\ud800"', '"\\u0000"', '["\\udfff\\u0000"]', "1e400"):
            with self.subTest(typed=typed):
                job = self.job('{"n": 1, "simulate": "fail:Red"}')
                self.fixed(self.edit(job, 1, n=typed), job, 1)
                assert self.payload(job, 1)["n"] == json.loads(typed)
                tasks.work()
                assert len("".join(results.chunks(fresh(job), "jsonl")).splitlines()) == 1

    def test_it_keeps_a_row_on_one_line(self) -> None:
        job = self.job('{"deep": [1], "simulate": "fail:Red"}')
        self.edit(job, 1, deep="[\r\n 1,\r\n 2.50\r\n]")
        assert "\n" not in self.text(job)
        assert self.payload(job, 1)["deep"] == [1, 2.5]

    def test_it_shows_a_field_for_what_the_row_has(self) -> None:
        job = self.job('{"a": 1, "simulate": "fail:Red"}', '{"b": 2, "simulate": "ok"}')
        labels = [cell["field"].label for cell in self.client.get(self.url(job, 1)).context["form"].cell_fields]
        assert labels == ["simulate", "a"]

    def test_it_fixes_a_line_that_could_not_be_read(self) -> None:
        job = self.job('{"a": 1, "simulate": "ok"}', '{"a": 2, "simulate": "ok"')
        page = self.client.get(self.url(job, 2))
        self.assertContains(page, "This line could not be read. It said:")
        self.assertContains(page, "{&quot;a&quot;: 2, &quot;simulate&quot;: &quot;ok&quot;")
        self.fixed(self.edit(job, 2, a="2", simulate="ok"), job, 2)
        tasks.work()
        assert (self.payload(job, 2), states(job)) == ({"a": 2, "simulate": "ok"}, ["succeeded", "succeeded"])

    def test_it_fixes_a_line_that_is_no_object(self) -> None:
        job = worked(self.alice, '"fail:Red"\n"ok"\n', name="rows.jsonl", mapping={"simulate": "value"})
        self.fixed(self.edit(job, 1, value="ok"), job, 1)
        assert self.payload(job, 1) == "ok"


class TogetherTests(EditCase):
    """Two administrators with the form of the same row before them."""

    def setUp(self) -> None:
        self.vera = operator()
        self.first, self.second = signed_in(self.sam), signed_in(self.vera)
        self.job = worked(self.alice, csv_of(6, failing))
        self.sent = self.form(self.job, 2, self.second)
        self.edit(self.job, 2, self.first, name="of the first", simulate="fail:Blue")

    def again(self, **cells: str) -> Any:
        return self.second.post(self.url(self.job, 2), self.sent | cells)

    def test_it_shows_the_second_both_and_loses_nothing(self) -> None:
        tasks.work()
        answer = self.again(cell_0="of the second", cell_1="ok")
        self.assertContains(answer, OVERTAKEN, status_code=422)
        for words in (">\nof the second</textarea>", "<b>In the row now:</b> of the first", "fail:Blue"):
            self.assertContains(answer, words, status_code=422)
        assert self.payload(self.job, 2) == ["of the first", "fail:Blue"]
        assert Correction.objects.count() == 1

    def test_it_lets_the_second_decide_who_has_seen_both(self) -> None:
        tasks.work()
        form = self.again(cell_0="of the second", cell_1="ok").context["form"]
        self.sent = {bound.html_name: bound.value() for bound in form}
        self.fixed(self.again(), self.job, 2)
        kept = [json.loads(one.payload)[0] for one in Correction.objects.order_by("pk")]
        assert (kept, self.payload(self.job, 2)) == (["item 1", "of the first"], ["of the second", "ok"])
        runs = Run.objects.filter(job=self.job, kind="correction").order_by("pk")
        assert [run.by for run in runs] == [self.sam, self.vera]

    def test_it_says_so_where_the_first_one_s_still_waits(self) -> None:
        form = self.again(cell_0="of the second").context["form"]
        self.sent = {bound.html_name: bound.value() for bound in form}
        answer = self.again()
        self.assertContains(answer, f"Row 2 {NOT_FAILED}", status_code=422)
        self.assertContains(answer, ">\nof the second</textarea>", status_code=422)

    def test_it_notices_who_came_between_looking_and_storing(self) -> None:
        tasks.work()
        self.sent = self.form(self.job, 2, self.second)
        real = actions.correct

        def overtaken(job: Job, fixed: Any, by: Any, **more: Any) -> int:
            Item.objects.filter(job=job, position=1).update(payload='["of a third","fail:Red"]')
            return real(job, fixed, by, **more)

        with patch.object(actions, "correct", overtaken):
            answer = self.again(cell_0="of the second")
        self.assertContains(answer, OVERTAKEN, status_code=422)
        self.assertContains(answer, "<b>In the row now:</b> of a third", status_code=422)
        assert Correction.objects.count() == 1
