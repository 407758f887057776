"""What stands between the file and the start: the report on it, and what the buttons say."""

from __future__ import annotations

from typing import Any

from django.test import SimpleTestCase

from jobs.files import shape
from jobs.ingest.report import KINDS, LEFT, NOTHING, SETTINGS, advice
from jobs.models import Item, ItemState, Job
from tests.base import People, csv_of, loaded, worked

BAD = "id,query\n1,hotels\n2\n\n3,flights,more\n3,trains\n4\n3,cars\n"


def group(kind: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "count": count, "first": [{"row": 1, "reason": "is bad"}]} | more


def report(*groups: dict[str, Any], rows: int = 100, blank: int = 0) -> dict[str, Any]:
    bad = sum(one["count"] for one in groups if one["kind"] != "duplicate key")
    return {"rows": rows, "bad_total": bad, "blank": blank, "duplicates": 0, "groups": list(groups), "types": ["text"]}


class AdviceTests(SimpleTestCase):
    def parts(self, *groups: dict[str, Any], **more: Any) -> dict[str, list[Any]]:
        told = advice(report(*groups, **more), ["query"])
        assert told
        return {heading: list(found) for heading, found in told.parts}

    def test_it_says_nothing_of_a_job_from_before(self) -> None:
        assert advice({}, ["query"]) is None

    def test_it_groups_by_what_to_do(self) -> None:
        parts = self.parts(group("duplicate key"), group("too long"), group("refused"), group("broken JSON"))
        assert [(heading, len(groups)) for heading, groups in parts.items()] == [(SETTINGS, 1), (LEFT, 2), (NOTHING, 1)]

    def test_it_counts_in_words(self) -> None:
        one, many = self.parts(group("too few cells"), group("too many cells", 3_000), rows=10_000)[LEFT]
        assert (one.title, many.title) == ("1 row has too few cells", "3,000 rows have too many cells")
        assert one.advice.endswith("In the result it stands as rejected, with the reason.")

    def test_it_counts_what_is_not_listed(self) -> None:
        (found,) = self.parts(group("too long", 12))[LEFT]
        assert (len(found.first), found.more) == (1, 11)

    def test_it_supposes_another_delimiter_where_most_rows_are_bad(self) -> None:
        (found,) = self.parts(group("too few cells", 51))[LEFT]
        assert "the delimiter may be another" in found.advice

    def test_it_says_what_blank_lines_are(self) -> None:
        (found,) = self.parts(blank=2)[NOTHING]
        assert (found.title, found.harmless) == ("2 blank lines", True)

    def test_it_lists_a_kind_that_it_does_not_know(self) -> None:
        (found,) = self.parts(group("too odd", 2))[LEFT]
        assert found.title == "2 rows are bad"

    def test_it_counts_no_row_as_bad_that_runs(self) -> None:
        told = advice(report(group("too long", 12), group("duplicate key", 3), blank=5), [])
        assert told
        assert told.bad == 12

    def test_it_names_the_columns_with_their_types(self) -> None:
        told = advice(report(), ["query", "late"])
        assert told
        assert list(told.columns) == [("query", "text")]


class ReportTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def ready(self, text: str = BAD, **fields: Any) -> Job:
        return loaded(self.alice, text, start=False, processor="rewrite-query", **fields)

    def page(self, job: Job, part: str = "") -> str:
        answer = self.client.get(job.get_absolute_url() + part)
        assert answer.status_code == 200
        return answer.content.decode()

    def test_it_shows_the_report_of_a_job_that_is_ready(self) -> None:
        page = self.page(self.ready())
        for text in (
            "6 rows", "2 rows have too few cells", "1 row has too many cells",
            "1 row has a key that an earlier row has", "1 blank line", "comma-separated",
            "Download all problems", "Cancel and fix the file",
        ):  # fmt: skip
            assert text in page, text

    def test_it_leads_from_a_bad_row_to_its_page(self) -> None:
        job = self.ready()
        assert f'href="/jobs/{job.code}/items/2/">#2</a>' in self.page(job, "setup/")

    def test_it_marks_the_columns_that_are_used(self) -> None:
        part = self.page(self.ready(), "setup/")
        assert 'data-used><b dir="auto">query</b>' in part
        assert '<b dir="auto">id</b> whole number' in part

    def test_it_says_that_nothing_is_wrong(self) -> None:
        page = self.page(self.ready("query\nhotels\n"))
        assert "Nothing is wrong with this file." in page
        assert "Download all problems" not in page

    def test_it_escapes_what_the_file_says(self) -> None:
        job = self.ready("query,<b>x</b>\nhotels,1\nflights\n")
        assert "<b>x</b>" not in self.page(job)

    def test_it_offers_to_leave_the_bad_rows_out(self) -> None:
        assert 'data-v="start">Leave 3 rows out and start</span>' in self.page(self.ready())

    def test_it_offers_to_start_a_good_file(self) -> None:
        assert 'data-v="start">Start</span>' in self.page(self.ready("query\nhotels\n"))

    def test_it_does_not_offer_to_start_without_a_good_row(self) -> None:
        job = self.ready("id,query\n1\n2\n")
        page = self.page(job)
        assert "No row can run" in page
        assert {"start", "try"}.isdisjoint(self.client.get(f"{job.get_absolute_url()}snapshot.json").json()["actions"])

    def test_it_offers_other_settings(self) -> None:
        job = self.ready()
        assert f'href="/jobs/{job.code}/change/">' in self.page(job)

    def test_it_folds_the_report_once_the_job_was_started(self) -> None:
        part = self.page(worked(self.alice, BAD, processor="rewrite-query"), "setup/")
        assert '<details class="card read" id="report">' in part
        assert "6 rows, 3 left out" in part
        assert "Cancel and fix the file" not in part
        assert "Try these rows" not in part

    def test_it_shows_nothing_for_a_job_from_before(self) -> None:
        job = worked(self.alice)
        Job.objects.filter(pk=job.pk).update(report={})
        assert self.page(job, "setup/").strip() == ""

    def test_it_still_tries_and_starts_a_ready_job_from_before(self) -> None:
        job = self.ready()
        Job.objects.filter(pk=job.pk).update(report={})
        part = self.page(job, "setup/")
        assert "What was read" not in part
        assert "Try these rows" in part

    def test_it_shows_the_part_to_nobody_else(self) -> None:
        job = self.ready()
        self.client.force_login(self.bob)
        assert self.client.get(f"/jobs/{job.code}/setup/").status_code == 404

    def test_it_does_not_reload_by_itself_while_a_person_decides(self) -> None:
        assert "http-equiv" not in self.page(self.ready())
        assert "http-equiv" in self.page(loaded(self.alice, csv_of(3)))

    def test_it_offers_no_results_before_there_are_any(self) -> None:
        assert 'id="download" data-verb="results" hidden' in self.page(self.ready())
        assert 'id="download" data-verb="results">' in self.page(worked(self.alice))

    def test_it_offers_to_run_it_again_once_it_ran(self) -> None:
        assert 'data-verb="again" hidden' in self.page(self.ready())
        assert 'data-verb="again">' in self.page(worked(self.alice))

    def test_it_shows_how_many_rows_were_read_so_far(self) -> None:
        job = loaded(self.alice, csv_of(30), start=False)
        Job.objects.filter(pk=job.pk).update(state="loading")
        page = self.page(job)
        assert '<span data-v="total">30</span> rows so far' in page
        assert "What was read" not in page

    def test_it_keeps_the_bad_rows_in_their_places(self) -> None:
        job = worked(self.alice, BAD, processor="rewrite-query")
        rejected = Item.objects.filter(job=job, state=ItemState.REJECTED).values_list("position", flat=True)
        assert sorted(rejected) == [1, 2, 4]


def test_it_knows_every_kind_of_problem() -> None:
    named = {value for name, value in vars(shape).items() if name.isupper() and isinstance(value, str)}
    assert named <= set(KINDS)
