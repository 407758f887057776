"""How much a person may have here at a time, and who says so."""

from __future__ import annotations

import re
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from jobs import dispatch, retention
from jobs.models import Job, JobState, Quota, Upload
from jobs.models.job import Refused
from jobs.quotas import OverQuota
from tests.base import People, loaded, make_job

FULL = (
    "This file has 0.6 MB and you have 0.6 MB stored here already; 1 MB are allowed. "
    "Delete jobs that you need no more, or ask whoever runs this batchweb to raise JOBS_MAX_STORED_MB."
)
BUSY = (
    "You have 2 jobs that have not ended; 2 at a time are allowed. "
    "Wait for one to end, cancel one, or ask whoever runs this batchweb to raise JOBS_MAX_RUNNING_JOBS."
)
ROWS = "query\nhotels\n"
LARGE = "query\n" + ("x" * 599 + "\n") * 1_000


def keep(owner: Any, text: str = LARGE) -> Upload:
    return Upload.keep(ContentFile(text.encode()), "rows.csv", owner)


@override_settings(JOBS_MAX_STORED_MB=1)
class StoredTests(People):
    def test_it_stores_no_more_than_a_person_may_have(self) -> None:
        keep(self.alice)
        with self.assertRaisesMessage(OverQuota, FULL):
            keep(self.alice)
        assert Upload.objects.count() == 1

    def test_it_counts_for_each_person(self) -> None:
        keep(self.alice)
        keep(self.bob)
        assert Upload.objects.count() == 2

    def test_it_counts_no_file_that_is_gone(self) -> None:
        retention.drop_file(keep(self.alice))
        keep(self.alice)
        assert Upload.objects.count() == 2

    def test_it_fills_to_the_last_byte(self) -> None:
        keep(self.alice, "x" * 400_000)
        keep(self.alice, "x" * 600_000)
        with self.assertRaises(OverQuota):
            keep(self.alice, "x")

    def test_it_has_no_limit_for_nought(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=0):
            assert [keep(self.alice) for _ in range(3)]


@override_settings(JOBS_MAX_RUNNING_JOBS=2)
class RunningTests(People):
    def test_it_begins_no_more_than_a_person_may_have(self) -> None:
        make_job(self.alice)
        make_job(self.alice)
        with self.assertRaisesMessage(OverQuota, BUSY):
            make_job(self.alice)
        make_job(self.bob)
        assert Job.objects.count() == 3

    def test_it_counts_what_is_read_waits_runs_or_is_paused(self) -> None:
        job = make_job(self.alice)
        counted = {
            state.value
            for state in JobState
            if Job.objects.filter(pk=job.pk).update(state=state) and Job.objects.unfinished_of(self.alice).exists()
        }
        assert counted == {"loading", "queued", "running", "paused"}

    def test_it_counts_none_that_is_ready_or_has_ended(self) -> None:
        for _ in range(3):
            loaded(self.alice, start=False)
        dispatch.cancel(make_job(self.alice))
        dispatch.delete(make_job(self.alice))
        make_job(self.alice)
        assert Job.objects.unfinished_of(self.alice).count() == 1

    def test_it_refuses_what_would_begin_again(self) -> None:
        ready, cancelled = loaded(self.alice, start=False), loaded(self.alice)
        dispatch.cancel(cancelled, self.alice)
        for _ in range(2):
            make_job(self.alice)
        for verb, job in (("start", ready), ("try", ready), ("resume", cancelled)):
            with self.assertRaisesMessage(Refused, BUSY):
                dispatch.VERBS[verb](job, self.alice)

    def test_it_speaks_of_one_job(self) -> None:
        make_job(self.alice)
        with override_settings(JOBS_MAX_RUNNING_JOBS=1), self.assertRaises(OverQuota) as caught:
            make_job(self.alice)
        assert str(caught.exception).startswith("You have 1 job that has not ended; 1 at a time is allowed.")

    def test_it_has_no_limit_for_nought(self) -> None:
        with override_settings(JOBS_MAX_RUNNING_JOBS=0):
            assert [make_job(self.alice) for _ in range(3)]


@override_settings(JOBS_MAX_STORED_MB=1, JOBS_MAX_RUNNING_JOBS=2)
class OwnTests(People):
    """A person may have another quota than the settings give to all."""

    def test_it_gives_a_person_more_than_the_others(self) -> None:
        Quota.objects.create(person=self.alice, stored_mb=2, running_jobs=3)
        assert [keep(self.alice) for _ in range(3)]
        assert [make_job(self.alice) for _ in range(3)]

    def test_it_gives_a_person_less_and_says_whose_it_is(self) -> None:
        Quota.objects.create(person=self.alice, running_jobs=1)
        make_job(self.alice)
        with self.assertRaises(OverQuota) as caught:
            make_job(self.alice)
        assert str(caught.exception).endswith("or ask whoever runs this batchweb to raise your quota.")
        make_job(self.bob)

    def test_it_says_so_of_files(self) -> None:
        Quota.objects.create(person=self.alice, stored_mb=1)
        keep(self.alice)
        with self.assertRaisesMessage(OverQuota, "to raise your quota."):
            keep(self.alice)

    def test_it_goes_by_the_setting_where_the_quota_is_empty(self) -> None:
        Quota.objects.create(person=self.alice)
        keep(self.alice)
        with self.assertRaisesMessage(OverQuota, FULL):
            keep(self.alice)

    def test_it_has_no_limit_for_a_quota_of_nought(self) -> None:
        Quota.objects.create(person=self.alice, stored_mb=0, running_jobs=0)
        assert [keep(self.alice) for _ in range(3)]
        assert [make_job(self.alice) for _ in range(4)]

    def test_it_goes_by_the_quota_of_the_owner(self) -> None:
        Quota.objects.create(person=self.alice, running_jobs=1)
        ready = loaded(self.alice, start=False)
        make_job(self.alice)
        with self.assertRaisesMessage(Refused, "your quota"):
            dispatch.start(ready, self.sam)


class PageTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def send(self, text: str = ROWS, **fields: Any) -> Any:
        sent = {"file": SimpleUploadedFile("rows.csv", text.encode())} if text else {}
        return self.client.post("/jobs/new/", {"processor": "rewrite-query"} | sent | fields)

    def test_it_says_on_the_form_that_the_store_is_full(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=1):
            kept = keep(self.alice)
            answer = self.send(LARGE, upload=kept.pk)
        assert answer.status_code == 422
        assert answer.context["form"].errors["file"] == [FULL]
        assert not Job.objects.exists()

    def test_it_says_so_to_those_without_scripts_who_choose_a_processor(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=1):
            keep(self.alice)
            answer = self.send(LARGE, refresh="1")
        self.assertContains(answer, FULL)

    def test_it_says_on_the_form_that_there_are_too_many_jobs(self) -> None:
        with override_settings(JOBS_MAX_RUNNING_JOBS=2):
            make_job(self.alice)
            make_job(self.alice)
            answer = self.send()
            self.assertContains(answer, BUSY, status_code=422)
        kept = re.search(r'name="upload"[^>]*value="(\d+)"', answer.content.decode())
        assert kept is not None
        assert self.send("", upload=kept[1]).status_code == 302

    def test_it_finds_the_last_job_of_a_form_that_is_sent_twice(self) -> None:
        with override_settings(JOBS_MAX_RUNNING_JOBS=1):
            answers = [self.send(csrfmiddlewaretoken="same") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert answers[0].url == answers[1].url

    def test_it_says_so_where_a_sample_is_tried(self) -> None:
        with override_settings(JOBS_MAX_RUNNING_JOBS=2):
            make_job(self.alice)
            make_job(self.alice)
            answer = self.client.post("/jobs/sample/", {"name": "queries.csv"})
        self.assertContains(answer, BUSY, status_code=422)
