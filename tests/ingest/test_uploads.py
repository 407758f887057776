"""Files that are sent while the form is still being filled in, and rows that are pasted."""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test import Client, override_settings
from django.utils import timezone

from jobs.forms import JobForm
from jobs.models import Job, Upload
from jobs.models.quota_limits import OverQuota
from tests.base import make_job
from tests.views.test_job_new import QUERIES, FormCase, file

URL = "/jobs/uploads/"


class UploadTests(FormCase):
    def send(self, *args: Any, **fields: Any) -> Any:
        return self.client.post(URL, {"file": file(*args, **fields)})

    def test_it_stores_a_file(self) -> None:
        answer = self.send()
        upload = Upload.objects.get()
        assert answer.status_code == 201
        assert answer.json() == {"upload": upload.pk, "name": "rows.csv", "size": len(QUERIES), "same": None}
        with upload.file.open("rb") as stored:
            assert (upload.owner, stored.read()) == (self.alice, QUERIES.encode())

    def test_it_makes_the_job_of_the_stored_file(self) -> None:
        self.send()
        upload = Upload.objects.get()
        self.client.post("/jobs/new/", {"processor": "rewrite-query", "upload": upload.pk})
        assert (Job.objects.get().upload, Upload.objects.count()) == (upload, 1)

    def test_it_says_that_the_file_went_while_the_form_was_sent(self) -> None:
        self.send()
        upload = Upload.objects.get()
        real = JobForm.recognise

        def recognised_and_removed(form: JobForm) -> None:
            real(form)
            FileSystemStorage().delete(str(upload.file.name))

        with patch.object(JobForm, "recognise", recognised_and_removed):
            sent = {"processor": "rewrite-query", "upload": upload.pk, "workers": "none"}
            answer = self.client.post("/jobs/new/", sent)
        self.assertContains(answer, "Enter a whole number.", status_code=422)

    def test_it_says_that_a_file_is_empty(self) -> None:
        for sent in ({}, {"file": file("")}):
            answer = self.client.post(URL, sent)
            assert (answer.status_code, answer.json()) == (422, {"error": "There is no file, or it is empty."})

    def test_it_says_that_a_file_is_too_large(self) -> None:
        with override_settings(JOBS_MAX_UPLOAD_BYTES=20):
            answer = self.send()
        assert answer.status_code == 413
        assert answer.json() == {"error": "The file has 41 bytes; up to 20 can be sent here."}
        assert not Upload.objects.exists()

    def test_it_says_that_the_disk_is_full(self) -> None:
        full = OSError(errno.ENOSPC, "No space left on device")
        with patch.object(FileSystemStorage, "_save", side_effect=full), self.assertLogs("jobs", "ERROR"):
            answer = self.send()
        assert (answer.status_code, Upload.objects.count()) == (507, 0)
        assert "Nothing was stored" in answer.json()["error"]

    def test_it_says_that_the_person_has_no_room_left(self) -> None:
        with patch.object(Upload, "keep", side_effect=OverQuota("You have no room left.")):
            answer = self.send()
            assert (answer.status_code, answer.json()) == (422, {"error": "You have no room left."})
            answer = self.client.post("/jobs/new/", {"processor": "rewrite-query", "file": file()})
        assert answer.context["form"].errors == {"file": ["You have no room left."]}

    def test_it_notices_a_file_that_it_knows(self) -> None:
        job = make_job(self.alice, QUERIES, processor="rewrite-query", name="first.csv")
        same = self.send(name="second.csv").json()["same"]
        assert (same["name"], same["url"]) == ("first.csv", f"/jobs/{job.code}/")
        assert same["again"] == f"/jobs/new/?again={job.code}"

    def test_it_notices_no_file_of_others(self) -> None:
        make_job(self.bob, QUERIES, processor="rewrite-query")
        assert self.send().json()["same"] is None

    def test_it_asks_about_a_known_file_on_a_form_that_comes_back(self) -> None:
        job = make_job(self.alice, QUERIES, processor="rewrite-query", name="first.csv")
        body = self.client.post("/jobs/new/", {"file": file(), "workers": 0}).content.decode()
        assert f'href="/jobs/new/?again={job.code}">run it again</a>' in body

    def test_it_lets_nobody_forge_an_upload(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.alice)
        assert client.post(URL, {"file": file()}).status_code == 403


class DiscardTests(FormCase):
    def stored(self, upload: Upload) -> bool:
        return upload.file.storage.exists(str(upload.file.name))

    def remove(self, upload: Upload) -> int:
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.delete(f"{URL}{upload.pk}/").status_code

    def test_it_removes_a_file_that_is_not_wanted(self) -> None:
        upload = Upload.keep(file(), "rows.csv", self.alice)
        assert self.remove(upload) == 204
        assert not self.stored(upload)
        assert not Upload.objects.exists()

    def test_it_keeps_the_file_of_a_job(self) -> None:
        upload = Upload.objects.get(pk=make_job(self.alice).upload.pk)
        assert self.remove(upload) == 204
        assert self.stored(upload)

    def test_it_removes_nobody_elses_file(self) -> None:
        upload = Upload.keep(file(), "rows.csv", self.bob)
        assert self.remove(upload) == 404
        assert self.stored(upload)

    def test_it_says_that_a_file_was_removed_meanwhile(self) -> None:
        upload = Upload.keep(file(), "rows.csv", self.alice)
        self.remove(upload)
        assert self.errors(None, upload=upload.pk) == {"file": ["The file is not here any more. Choose it again."]}


class PasteTests(FormCase):
    def test_it_makes_a_job_of_one_row_a_line(self) -> None:
        job = self.made(None, pasted="best hotels\r\ncheap flights\r\n")
        assert (job.columns, job.upload.name, job.name) == (["text"], "pasted rows.txt", "pasted rows.txt")

    def test_it_makes_a_job_of_cells_from_a_spreadsheet(self) -> None:
        job = self.made(None, pasted="query\tnote\r\nbest hotels\tä\r\n")
        assert (job.columns, job.upload.name) == (["query", "note"], "pasted rows.tsv")
        assert job.shape["delimiter"] == "\t"

    def test_it_takes_the_file_where_there_is_one(self) -> None:
        assert self.made(pasted="other\nrows\n").upload.name == "rows.csv"

    def test_it_shows_pasted_rows_without_scripts(self) -> None:
        body = self.send(None, pasted="query\tnote\r\nbest hotels\tä\r\n", refresh="1").content.decode()
        assert "best hotels" in body
        assert f'value="{Upload.objects.get().pk}"' in body

    def test_it_keeps_what_was_pasted_and_cannot_be_used(self) -> None:
        body = self.send(None, pasted="query\tnote\r\n", file_header="yes").content.decode()
        assert "query\tnote" in body

    def test_it_asks_for_a_file_where_nothing_but_space_was_pasted(self) -> None:
        assert self.errors(None, pasted=" \r\n ") == {"file": ["Choose a file."]}


class ButtonTests(FormCase):
    def test_it_checks_the_file_first(self) -> None:
        assert not self.made(then="check").autostart

    def test_it_starts_right_away(self) -> None:
        assert self.made(then="start").autostart

    def test_it_presses_check_for_enter(self) -> None:
        body = self.client.get("/jobs/new/").content.decode()
        first = body[body.index("<form", body.index('id="new-job"')) :]
        first = first[first.index("<button") :]
        assert first[: first.index(">")].count('name="then" value="check"') == 1


class UsedTests(FormCase):
    """A file that a form is being filled in about."""

    def test_it_stays_while_somebody_looks_at_it(self) -> None:
        upload = Upload.keep(ContentFile(b"query\na\n"), "rows.csv", self.alice)
        Upload.objects.update(used=timezone.now() - timedelta(hours=2))
        self.client.post("/jobs/preview/", {"upload": upload.pk, "processor": "rewrite-query"})
        assert not Upload.objects.unreferenced().exists()
