"""The form of a new job filled in from another one: to run it again, and to change it before it begins."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.http import HttpResponse
from django.utils import timezone

from jobs.forms import filled_in
from jobs.ingest import importer
from jobs.maintenance import retention
from jobs.models import Item, Job, JobState, Upload, parameters
from jobs.processors import registry
from tests.base import loaded, make_job
from tests.views.test_job_new import QUERIES, FormCase, Typed

NOTES = "note;question;id\nä;best hotels;7\nö;cheap flights;8\n".encode("cp1252")


class FilledInCase(FormCase):
    def ready(self, text: str | bytes = QUERIES, **fields: Any) -> Job:
        return loaded(self.alice, text, start=False, **{"processor": "rewrite-query"} | fields)

    def again(self, job: Job) -> str:
        return self.client.get("/jobs/new/", {"again": job.code}).content.decode()


class AgainTests(FilledInCase):
    def test_it_fills_in_everything(self) -> None:
        job = self.ready(
            NOTES, mapping={"query": "question"}, label_column="note", key_column="id", workers=3, attempts=7,
            timeout=None, rate=2.5, limit_streak=5,
        )  # fmt: skip
        body = self.again(job)
        assert f'name="upload" id="id_upload" value="{job.upload.pk}"' in body
        for words in (
            'name="workers" value="3"', 'name="attempts" value="7"', 'name="rate" value="2.5"', 'id="limit" open',
            '<option value="question" selected>', '<option value="note" selected>', '<option value="id" selected>',
            "cheap flights", 'value="rewrite-query" checked',
        ):  # fmt: skip
            assert words in body, words
        assert 'name="timeout" value' not in body

    def test_it_makes_another_job_of_the_same_file(self) -> None:
        job = self.ready()
        other = self.made(None, upload=job.upload.pk)
        assert (other.upload, other.pk != job.pk, Upload.objects.count()) == (job.upload, True, 1)

    def test_it_is_offered_on_the_page_of_a_job(self) -> None:
        job = self.ready()
        assert f'href="/jobs/new/?again={job.code}"' in self.client.get(job.get_absolute_url()).content.decode()

    def test_it_says_that_the_file_was_removed(self) -> None:
        job = self.ready(workers=3)
        Job.objects.filter(pk=job.pk).update(pruned=timezone.now())
        retention.drop_file(job.upload)
        body = self.again(job)
        assert "The file of that job was removed. Choose it again; the rest is filled in." in body
        assert 'name="workers" value="3"' in body
        assert 'id="id_upload" value=""' in body

    def test_it_shows_nobody_elses_job(self) -> None:
        self.client.force_login(self.bob)
        assert self.client.get("/jobs/new/", {"again": self.ready().code}).status_code == 404

    def test_it_lets_staff_run_the_job_of_another(self) -> None:
        job = self.ready()
        self.client.force_login(self.sam)
        other = self.made(None, upload=job.upload.pk)
        assert (other.owner, other.upload) == (self.sam, job.upload)

    def test_it_never_repeats_a_secret(self) -> None:
        with patch.dict(registry._processors, {"typed": Typed()}):
            job = make_job(self.alice, "text\na\n", processor="rewrite-query", mapping={})
            Job.objects.filter(pk=job.pk).update(processor="typed", parameters={"token": "hunter22", "count": 5})
            body = self.again(job)
        assert "hunter22" not in body
        assert 'name="param_count" value="5"' in body

    def test_it_does_not_ask_about_the_file_that_is_run_again(self) -> None:
        assert 'id="same" hidden' in self.again(self.ready())

    def test_it_offers_a_job_whose_processor_is_gone(self) -> None:
        job = self.ready()
        Job.objects.filter(pk=job.pk).update(processor="gone")
        assert "best hotels" in self.again(job)


class OptionsAgainTests(FilledInCase):
    """Only what would be guessed differently comes back as an option."""

    def options(self, data: str | bytes, **fields: Any) -> dict[str, Any]:
        job = self.made(data, **fields)
        return {name: value for name, value in filled_in(job, self.alice).items() if name.startswith("file_")}

    def test_it_leaves_to_guessing_what_was_guessed(self) -> None:
        assert self.options(NOTES, map_query="question") == {}

    def test_it_says_again_what_was_said(self) -> None:
        said = {"file_header": "no", "file_encoding": "iso8859-1", "file_delimiter": ","}
        assert self.options(NOTES, map_query="column 1", **said) == said

    def test_it_says_a_rare_delimiter_again(self) -> None:
        said = {"file_delimiter": "other", "file_delimiter_other": "e"}
        assert self.options(NOTES, map_query="not", **said) == said

    def test_it_says_another_format_again(self) -> None:
        assert self.options(NOTES, map_query="text", file_format="text") == {"file_format": "text"}

    def test_it_reads_the_file_as_before(self) -> None:
        said = {"file_header": "no", "file_encoding": "iso8859-1", "file_delimiter": ","}
        job = self.made(NOTES, map_query="column 1", **said)
        again = {name: value for name, value in filled_in(job, self.alice).items() if value is not None}
        assert self.made(None, **again | {"upload": job.upload.pk, "processor": job.processor}).shape == job.shape


class ChangeTests(FilledInCase):
    def change(self, job: Job, **fields: Any) -> HttpResponse:
        data = {"processor": job.processor, "upload": job.upload.pk, "then": "check"} | fields
        return self.client.post(f"/jobs/{job.code}/change/", data)  # type: ignore[return-value]

    def test_it_shows_the_settings_of_the_job(self) -> None:
        job = self.ready(workers=3)
        body = self.client.get(f"/jobs/{job.code}/change/").content.decode()
        assert 'name="workers" value="3"' in body
        assert "Save and check" in body

    def test_it_reads_the_file_anew(self) -> None:
        job = self.ready(NOTES, mapping={"query": "question"})
        answer = self.change(job, map_query="note", file_header="no", label_column="column 2", workers=4, map_=1)
        assert answer.status_code == 422  # the columns are other ones now
        answer = self.change(job, map_query="column 1", file_header="no", label_column="column 2", workers=4)
        assert answer["Location"] == job.get_absolute_url()
        job.refresh_from_db()
        assert (job.state, job.workers, job.mapping) == (JobState.LOADING, 4, {"query": "column 1"})
        importer.load(job)
        job.refresh_from_db()
        assert (job.state, job.total, job.autostart) == (JobState.READY, 3, False)
        assert Item.objects.get(job=job, position=1).label == "best hotels"

    def test_it_takes_another_file(self) -> None:
        job = self.ready()
        other = SimpleUploadedFile("other.csv", b"query\nanother\n")
        self.change(job, file=other)
        job.refresh_from_db()
        assert (job.upload.name, job.columns) == ("other.csv", ["query"])

    def test_it_starts_right_away(self) -> None:
        job = self.ready()
        self.change(job, then="start")
        job.refresh_from_db()
        importer.load(job)
        job.refresh_from_db()
        assert job.state == JobState.QUEUED

    def test_it_changes_no_job_that_has_begun(self) -> None:
        job = loaded(self.alice)
        for answer in (self.client.get(f"/jobs/{job.code}/change/"), self.change(job)):
            assert answer["Location"] == job.get_absolute_url()
        body = self.client.get(job.get_absolute_url()).content.decode()
        assert "The settings can be changed only before the job is started." in body
        job.refresh_from_db()
        assert job.state == JobState.QUEUED

    def test_it_lets_staff_change_the_job_of_another(self) -> None:
        job = self.ready()
        self.client.force_login(self.sam)
        assert self.change(job, workers=2).status_code == 302
        job.refresh_from_db()
        assert (job.workers, job.owner) == (2, self.alice)

    def test_it_keeps_a_secret_that_is_not_typed_again(self) -> None:
        job = self.ready("text\na\n", mapping={})
        Job.objects.filter(pk=job.pk).update(processor="typed", parameters={"token": "hunter22", "count": 5})
        job.refresh_from_db()
        with patch.dict(registry._processors, {"typed": Typed()}):
            body = self.client.get(f"/jobs/{job.code}/change/").content.decode()
            self.change(job, map_text="text", param_count="6")
        job.refresh_from_db()
        assert "Leave it empty to keep the present one." in body
        assert "hunter22" not in body
        stored = parameters.opened(job.code, job.parameters)
        assert (stored["token"], stored["count"]) == ("hunter22", 6)
        assert "hunter22" not in json.dumps(job.parameters)

    def test_it_takes_a_column_that_comes_up_late(self) -> None:
        lines = '{"query": "a"}\n' * 3_000 + '{"query": "b", "late": 1}\n'
        job = self.ready(lines, name="rows.jsonl")
        assert job.columns == ["query", "late"]
        assert self.change(job, label_column="late").status_code == 302
        job.refresh_from_db()
        assert (job.label_column, job.columns) == ("late", ["query", "late"])

    def test_it_says_that_the_file_is_gone(self) -> None:
        job = self.ready()
        with patch("jobs.actions.change", side_effect=IntegrityError):
            answer = self.change(job)
        assert answer.status_code == 422
        assert "The file is not here any more." in answer.content.decode()

    def test_it_changes_nobody_elses_job(self) -> None:
        job = self.ready()
        self.client.force_login(self.bob)
        assert self.change(job).status_code == 404


class NamesTests(FormCase):
    """Which column names an item, and under which a result is found again."""

    def test_it_remembers_the_columns_that_were_chosen(self) -> None:
        job = self.made(label_column="note", key_column="query")
        assert (job.label_column, job.key_column) == ("note", "query")

    def test_it_leaves_them_to_guessing(self) -> None:
        job = self.made()
        assert (job.label_column, job.key_column) == ("", "")

    def test_it_says_which_columns_it_would_take(self) -> None:
        fields = {"processor": "rewrite-query", "column": ["id", "query"]}
        body = self.client.get("/jobs/processor/", fields).content.decode()
        assert "Automatic: query" in body
        assert "Automatic: id" in body

    def test_it_takes_no_column_that_is_not_there(self) -> None:
        errors = self.errors(label_column="nothing")
        assert errors == {"label_column": ["The file has no column “nothing”."]}

    def test_it_takes_no_column_whose_name_it_cannot_remember(self) -> None:
        long = "x" * 201
        assert list(self.errors(f"query,{long}\na,b\n", file_header="yes", key_column=long)) == ["key_column"]
