"""Everything that is wrong with a file, as a download."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.core.files.base import ContentFile

from jobs import files
from jobs.ingest import inspection, report_csv
from jobs.models import Job, JobState, Upload
from tests.base import loaded, make_job
from tests.views.test_downloads import DownloadCase

BAD = "id,query\n1,hotels\n2\n\n3,flights,more\n4,trains\n4,cars\n"


class ProblemTests(DownloadCase):
    def problems(self, job: Job) -> list[tuple[str, str]]:
        return [(row["row"], row["kind"]) for row in self.rows(job, "problems.csv")]

    def ready(self, text: str | bytes = BAD, **fields: Any) -> Job:
        return loaded(self.alice, text, start=False, processor="rewrite-query", **fields)

    def test_it_lists_every_problem_in_the_order_of_the_rows(self) -> None:
        rows = self.rows(self.ready(), "problems.csv")
        assert [(row["row"], row["kind"]) for row in rows] == [
            ("2", "too few cells"), ("", "blank line"), ("3", "too many cells"), ("5", "duplicate key")
        ]  # fmt: skip
        assert rows[0]["reason"] == "has 1 cell, expected 2 (columns id, query)"

    def test_it_lists_what_the_report_counts(self) -> None:
        job = self.ready("query\n" + "a,b\n" * 30)
        assert len(self.problems(job)) == job.report["bad_total"] == 30

    def test_it_joins_its_pieces_without_a_seam(self) -> None:
        job = self.ready("query\n" + "a,b\n" * 30)
        with patch.object(report_csv, "CHUNK", 4):
            assert [row for row, _ in self.problems(job)] == [str(at + 1) for at in range(30)]

    def test_it_has_a_child_read_the_file(self) -> None:
        job = self.ready()
        with patch.object(files, "read", side_effect=AssertionError("This process must not.")):
            assert len(self.problems(job)) == 4

    def test_it_ends_the_child_when_nobody_reads_on(self) -> None:
        job = self.ready("query\n" + "a,b\n" * 100_000)
        told = report_csv.chunks(job, self.alice.pk)
        assert next(told).startswith("row,")
        assert next(told).startswith("1,")
        assert inspection.DOWNLOADS.taken.total() == 1
        del told
        assert inspection.DOWNLOADS.taken.total() == 0

    def test_it_tells_where_blank_lines_are(self) -> None:
        job = self.ready("query\n\na\nb\n\n\nc\n\nd\n\n\n\n")
        assert [(row["row"], row["reason"]) for row in self.rows(job, "problems.csv")] == [
            ("", "before row 1"), ("", "2 lines between rows 2 and 3"), ("", "between rows 3 and 4"),
            ("", "3 lines after row 4"),
        ]  # fmt: skip
        assert job.report["blank"] == 7

    def test_it_stops_for_a_moment_also_where_nothing_is_wrong(self) -> None:
        job = self.ready("query\n" + "a\n" * 10)
        with patch.object(report_csv, "CHUNK", 4):
            assert list(report_csv.chunks(job, self.alice.pk)) == ["row,kind,reason\r\n", "", "", ""]

    def test_it_keeps_what_it_found_before_the_file_broke(self) -> None:
        job = self.ready("query,id\na\n")
        job.upload.file.storage.delete(str(job.upload.file.name))
        job.upload.file.storage.save(str(job.upload.file.name), ContentFile(b'query,id\na\n"flights'))
        assert self.problems(job) == [("1", "too few cells"), ("", "unreadable")]

    def test_it_takes_the_chosen_key(self) -> None:
        job = self.ready("query,note\na,x\nb,x\n", key_column="note")
        assert self.problems(job) == [("2", "duplicate key")]

    def test_it_lists_what_the_processor_refuses(self) -> None:
        assert self.problems(self.ready("id,query\n1,hotels\n2,\n")) == [("2", "refused")]

    def test_it_holds_only_the_names_where_nothing_is_wrong(self) -> None:
        assert self.text(self.ready("query\nhotels\n"), "problems.csv") == "row,kind,reason\r\n"

    def test_it_guards_cells_against_formulas(self) -> None:
        with patch.object(report_csv, "problems", lambda *_: iter([[["1", "refused", "=1+1"]]])):
            assert self.rows(self.ready(), "problems.csv")[0]["reason"] == "'=1+1"

    def test_it_ends_with_why_the_file_cannot_be_read(self) -> None:
        job = make_job(self.alice, 'query\nhotels\n"flights\n', processor="rewrite-query")
        Job.objects.filter(pk=job.pk).update(state=JobState.INVALID)
        (row,) = self.rows(job, "problems.csv")
        assert (row["row"], row["kind"]) == ("", "unreadable")
        assert "is never closed" in row["reason"]

    def test_it_says_that_the_stored_file_is_gone(self) -> None:
        job = self.ready()
        job.upload.file.storage.delete(str(job.upload.file.name))
        (row,) = self.rows(job, "problems.csv")
        assert row["reason"] == "The stored file is gone."

    def test_it_says_that_the_file_was_removed(self) -> None:
        job = self.ready()
        Upload.objects.filter(pk=job.upload_id).update(file="")
        answer = self.get(job, "problems.csv")
        assert answer.status_code == 410
        assert "Only the results of this job are kept" in answer.content.decode()
        assert "Download all problems" not in self.client.get(job.get_absolute_url()).content.decode()

    def test_it_names_the_file_after_the_job(self) -> None:
        answer = self.get(self.ready(), "problems.csv")
        assert answer["Content-Disposition"] == 'attachment; filename="rows-problems.csv"'
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer["Cache-Control"] == "no-store"
