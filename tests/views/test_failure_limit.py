"""The failure limit in the form of a new job and on the job's page."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import Job
from jobs.models.reason import Code, Reason
from tests.base import People, csv_of, loaded


class LimitTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def send(self, **fields: Any) -> Any:
        file = SimpleUploadedFile("rows.csv", csv_of(3).encode())
        return self.client.post("/jobs/new/", {"processor": "simulate", "file": file} | fields)

    def test_it_offers_a_limit_that_is_off(self) -> None:
        body = self.client.get("/jobs/new/").content.decode()
        assert '<details class="card-body limit" id="limit">' in body
        assert 'name="limit_streak"' in body

    def test_it_makes_a_job_without_a_limit(self) -> None:
        self.send(limit_share="", limit_sample="20", limit_count="", limit_streak="")
        assert not Job.objects.get().limit

    def test_it_makes_a_job_with_a_limit(self) -> None:
        self.send(limit_share="25", limit_sample="", limit_count="100", limit_streak="5")
        limit = Job.objects.get().limit
        assert (limit.share, limit.sample, limit.count, limit.streak) == (25, 20, 100, 5)

    def test_it_refuses_a_limit_that_makes_no_sense(self) -> None:
        for field, value in (("limit_share", "100"), ("limit_count", "0"), ("limit_streak", "x")):
            answer = self.send(**{field: value})
            assert answer.status_code == 422, field
            assert 'id="limit" open' in answer.content.decode()

    def test_it_shows_the_limit_on_the_page(self) -> None:
        job = loaded(self.alice, limit_streak=5)
        assert "pauses when 5 in a row fail for one cause" in self.client.get(job.get_absolute_url()).content.decode()

    def test_it_shows_why_it_paused(self) -> None:
        job = loaded(self.alice)
        job.pause(reason=Reason(Code.FAILURE_LIMIT, "Paused: 5 items in a row failed with ConnectError."))
        assert job.reason in self.client.get(job.get_absolute_url()).content.decode()
