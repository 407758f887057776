"""How much a person may have here at a time, and who says so."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from random import sample
from secrets import token_hex
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.contrib.admin import site
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from jobs import actions, processors, tasks
from jobs.admin.people import PeopleAdmin
from jobs.ingest import importer
from jobs.maintenance import invariants, retention
from jobs.models import Activity, Item, Job, JobState, Quota, Run, Upload
from jobs.models.job import Refused
from jobs.models.quota_limits import LINE, ROW, RUN, OverQuota
from jobs.store import requeue
from jobs.store.requeue import CorrectedItem, Failures
from tests.base import People, csv_of, loaded, make_job, worked
from tests.steps import recorder_for

FULL = (
    "This file has 0.6 MB and you have 0.6 MB stored here already or on their way; 1 MB are allowed. "
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


def sized(rows: int, size: int, simulate: str = "ok") -> str:
    """A file of rows of about so many bytes."""
    return "name,simulate\n" + f"{'x' * (size - len(simulate) - 1)},{simulate}\n" * rows


class RowsTests(People):
    """Rows count like files, with what came of them."""

    def recounted(self, job: Job) -> int:
        job.refresh_from_db()
        assert list(invariants.differences(job)) == []
        return job.stored

    def test_it_counts_what_is_read(self) -> None:
        job = loaded(self.alice, sized(50, 1_000))
        assert 50_000 < self.recounted(job) < 51_000
        kept = job.stored + 50 * ROW + job.upload.size
        assert kept < Quota.used(self.alice) < kept + 2_000

    @override_settings(JOBS_MAX_STORED_MB=1, JOBS_SHARD_SIZE=100)
    def test_it_counts_what_tiny_rows_take_besides_their_texts(self) -> None:
        job = loaded(self.alice, "name\n" + "a\n" * 20_000, start=False)
        assert (job.state, job.total) == (JobState.INVALID, 0)

    def test_it_counts_bytes_and_not_characters(self) -> None:
        few, many = (loaded(self.alice, "name\n" + letter * 9_000, start=False) for letter in "ae")
        wide = loaded(self.alice, "name\n" + "語" * 9_000, start=False)
        assert self.recounted(few) == self.recounted(many) == self.recounted(wide) - 18_000

    def test_it_counts_results_and_attempts_and_corrections(self) -> None:
        job = loaded(self.alice, csv_of(20, lambda at: "fail:E" if at % 2 else "ok"))
        read = self.recounted(job)
        tasks.work()
        done = self.recounted(job)
        assert done > read
        actions.retry(job, self.alice)
        tasks.work()
        assert self.recounted(job) > done
        before = job.stored
        payload = '["' + "x" * 999 + '","ok"]'
        actions.correct(job, [CorrectedItem(1, payload, "", "")], self.alice)
        assert self.recounted(job) == before + len(payload)
        tasks.work()
        history = self.recounted(job)
        retention.trim(job)
        assert self.recounted(job) < history

    def test_it_counts_what_was_stored_before_rows_were_counted(self) -> None:
        job = worked(self.alice, csv_of(20, lambda at: "fail:E" if at % 2 else "ok"))
        actions.correct(job, [CorrectedItem(1, '["ä","ok"]', "", "")], self.alice)
        counted = self.recounted(job)
        empty = make_job(self.bob)
        Job.objects.update(stored=0)
        with connection.cursor() as cursor:
            editor = SimpleNamespace(connection=connection, execute=cursor.execute)
            import_module("jobs.migrations.0016_room_and_offers").count_rows(None, editor)
        assert (self.recounted(job), self.recounted(empty)) == (counted, 0)

    def test_it_counts_fallbacks_as_long_as_they_are_there(self) -> None:
        job = worked(self.alice, "query\nhotels\n", processor="rewrite-query")
        Item.objects.filter(job=job).update(state=3, result="", fallback="y" * 500)
        before = job.stored - len(Item.objects.get(job=job).result)
        Job.objects.filter(pk=job.pk).update(stored=before + 500)
        requeue.retry(job.pk, Failures())
        job.refresh_from_db()
        assert job.stored == before

    @override_settings(JOBS_MAX_STORED_MB=1, JOBS_SHARD_SIZE=100)
    def test_it_stops_reading_where_there_is_no_room_for_the_rows(self) -> None:
        packed = gzip.compress(sized(2_000, 1_000).encode())
        job = make_job(self.alice, packed, name="rows.csv.gz")
        importer.load(job)
        job.refresh_from_db()
        assert job.state == JobState.INVALID
        assert job.reason.startswith("There is no room for more: of 1 MB that the owner of this job may store")
        assert (job.total, job.stored, Item.objects.count(), job.shards.count()) == (0, 0, 0, 0)

    @override_settings(JOBS_SHARD_SIZE=100)
    def test_it_reads_it_once_there_is_room(self) -> None:
        job = make_job(self.alice, sized(500, 1_000), start=False)
        Quota.objects.create(person=self.alice, stored_mb=1)
        Upload.objects.filter(pk=job.upload_id).update(size=900_000)
        importer.load(job)
        Quota.objects.update(stored_mb=2)
        job.refresh_from_db()
        actions.change(job, self.alice)
        importer.load(job)
        job.refresh_from_db()
        assert (job.state, job.total) == (JobState.READY, 500)

    def test_it_notices_what_is_stored_beside_it(self) -> None:
        Quota.objects.create(person=self.alice, stored_mb=1)
        now = [0.0]
        room = importer.QuotaMeter(self.alice, lambda: now[0])
        room.take(600_000)
        keep(self.alice)
        now[0] = 1.0
        with self.assertRaises(OverQuota):
            room.take(600_000)

    def test_it_pauses_a_job_whose_results_have_no_room(self) -> None:
        job = loaded(self.alice, csv_of(20))
        taken = recorder_for(job)
        Quota.objects.create(person=self.alice, stored_mb=1)
        Job.objects.filter(pk=job.pk).update(stored=1_000_000)
        taken._look()
        assert taken.ended
        job.refresh_from_db()
        assert job.state == JobState.PAUSED
        assert "1 MB are in use" in job.reason

    def test_it_lets_nobody_who_may_act_fill_the_quota_of_the_owner(self) -> None:
        job = worked(self.alice, csv_of(3, lambda at: "fail:E"))
        Quota.objects.create(person=self.alice, stored_mb=1)
        Job.objects.filter(pk=job.pk).update(stored=900_000)
        large = CorrectedItem(1, '["' + "x" * 200_000 + '","ok"]', "", "")
        with self.assertRaisesMessage(Refused, "There is no room for more: of 1 MB"):
            actions.correct(job, [large], self.bob)
        assert Job.objects.get().stored == 900_000
        sent = Upload.keep(ContentFile(b"row,simulate\n1,ok\n" + b"\n" * 200_000), "fixed.csv", self.bob)
        with self.assertRaises(Refused):
            actions.correct_from(job, sent, self.bob)
        assert Upload.objects.get(pk=sent.pk).owner == self.bob

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_takes_no_file_beside_so_many_rows(self) -> None:
        job = loaded(self.alice, csv_of(2))
        Job.objects.filter(pk=job.pk).update(stored=900_000)
        with self.assertRaises(OverQuota):
            keep(self.alice)

    def test_it_takes_so_many_jobs_a_minute(self) -> None:
        with override_settings(JOBS_MAX_JOBS_A_MINUTE=2):
            first, _ = make_job(self.alice), make_job(self.alice)
            sentence = "You have made 2 jobs within a minute, which is the limit. Wait a minute."
            with self.assertRaisesMessage(OverQuota, sentence):
                make_job(self.alice)
            make_job(self.bob)
            Job.objects.filter(pk=first.pk).update(created=timezone.now() - timedelta(minutes=2))
            make_job(self.alice)

    def test_it_leaves_the_database_its_part_of_the_disk(self) -> None:
        usage = SimpleNamespace(free=499_000_000)
        with override_settings(JOBS_DISK_RESERVE_MB=500), patch("shutil.disk_usage", return_value=usage):
            self.client.force_login(self.alice)
            answer = self.client.post("/jobs/uploads/", {"file": SimpleUploadedFile("rows.csv", ROWS.encode())})
        self.assertContains(answer, "The server has no room left for this file.", status_code=507)
        assert not Upload.objects.exists()


class KeptTests(People):
    """What a job keeps besides its rows: parameters, a copy of them in each run, and who did what."""

    def grown(self, act: Callable[[], Any]) -> int:
        before = Quota.used(self.alice)
        act()
        return Quota.used(self.alice) - before

    def made(self, size: int = 0, **fields: Any) -> Job:
        parameters = processors.get("rewrite-query").clean({}) | {"extra": token_hex(size // 2)}
        return make_job(self.alice, "query\nhotels\n", processor="rewrite-query", parameters=parameters, **fields)

    def test_it_counts_the_parameters_of_a_job(self) -> None:
        assert 50_000 < self.grown(lambda: self.made(50_000)) < 52_000

    def test_it_counts_the_copy_of_each_run(self) -> None:
        job = self.made(50_000)
        for kind in (Run.Kind.FIRST, Run.Kind.RETRY):
            assert 50_000 + RUN < self.grown(partial(job.new_run, kind, 1, self.alice)) < 51_000 + RUN

    def test_it_counts_which_rows_a_run_tries(self) -> None:
        run = self.made().new_run(Run.Kind.TRIAL, 1, self.alice)
        rows = sample(range(100_000), 5_000)
        assert self.grown(lambda: Run.objects.filter(pk=run.pk).update(positions=rows)) > 20_000

    def test_it_counts_each_line_of_the_activity(self) -> None:
        job = self.made()
        assert LINE <= self.grown(lambda: job.note("rename", "")) <= LINE + 4
        assert LINE + 400 <= self.grown(lambda: job.note("rename", "語" * 100 + "x" * 100)) <= LINE + 404

    def test_it_counts_what_others_do(self) -> None:
        job = self.made()
        assert self.grown(lambda: job.note("pause", "Paused", self.bob)) > LINE
        assert Quota.used(self.bob) == 0

    def test_it_asks_few_questions(self) -> None:
        self.made()
        with self.assertNumQueries(4):
            Quota.used(self.alice)

    def test_it_says_the_same_in_the_admin(self) -> None:
        job = self.made(50_000)
        job.new_run(Run.Kind.FIRST, 1, self.alice)
        shown: Any = PeopleAdmin(type(self.alice), site).shown([self.alice.pk, self.bob.pk])
        assert {one.username: one.stored_bytes for one in shown} == {"alice": Quota.used(self.alice), "bob": 0}

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_makes_no_job_whose_parameters_have_no_room(self) -> None:
        upload = self.made(400_000).upload
        fields: dict[str, Any] = {"processor": "rewrite-query", "parameters": {"extra": token_hex(400_000)}}
        with self.assertRaisesMessage(OverQuota, "There is no room for more: of 1 MB"):
            actions.submit(upload, self.alice, **fields)
        assert Job.objects.count() == 1

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_makes_no_run_whose_parameters_have_no_room(self) -> None:
        job = worked(self.alice, csv_of(2, lambda at: "fail:E"))
        Job.objects.filter(pk=job.pk).update(parameters=job.parameters | {"note": token_hex(300_000)})
        with self.assertRaisesMessage(Refused, "There is no room for more: of 1 MB"):
            actions.retry(job, self.alice)
        assert job.runs.count() == 1


class FullTests(People):
    """Where there is no room left nothing begins that leaves a line behind; what ends or takes back something does."""

    def full(self, job: Job) -> None:
        Quota.objects.update_or_create(person=self.alice, defaults={"stored_mb": 1})
        Job.objects.filter(pk=job.pk).update(stored=1_000_000)
        job.refresh_from_db()

    def test_it_refuses_what_could_be_done_for_ever(self) -> None:
        ended, ready = worked(self.alice, csv_of(4, lambda at: "fail:E")), loaded(self.alice, start=False)
        stopped = loaded(self.alice)
        actions.cancel(stopped, self.alice)
        self.full(ended)
        lines = Activity.objects.count()
        acts: dict[str, Callable[[], Any]] = {
            "rename": lambda: ended.rename("another", self.bob),
            "share": lambda: ended.share(self.bob, by=self.alice),
            "offer": lambda: ended.offer_to(self.bob, self.alice),
            "retry": lambda: actions.retry(ended, self.alice),
            "accept": lambda: actions.accept(ended, self.alice),
            "try": lambda: actions.trial(ready, self.alice),
            "adjust": lambda: actions.adjust(ready, self.alice, workers=3),
            "change": lambda: actions.change(ready, self.alice),
            "resume": lambda: actions.resume(stopped, self.alice),
        }
        for verb, act in acts.items():
            with self.subTest(verb=verb), self.assertRaisesMessage(Refused, "There is no room for more: of 1 MB"):
                act()
        assert Activity.objects.count() == lines

    def test_it_says_so_on_the_page(self) -> None:
        job = worked(self.alice)
        self.full(job)
        self.client.force_login(self.alice)
        answer = self.client.post(f"/jobs/{job.code}/rename/", {"name": "another"}, follow=True)
        self.assertContains(answer, "There is no room for more: of 1 MB")

    def test_it_lets_what_ends_something_be_done(self) -> None:
        job = loaded(self.alice)
        job.share(self.bob, by=self.alice)
        job.offer_to(self.bob, self.alice)
        self.full(job)
        actions.pause(job, self.alice)
        actions.cancel(job, self.alice)
        assert job.unshare(self.bob, self.alice)
        assert job.withdraw(self.alice)
        actions.delete(job, self.alice)

    def test_it_lets_a_job_be_changed_that_takes_less_then(self) -> None:
        job = loaded(self.alice, start=False)
        self.full(job)
        actions.change(job, self.alice)
        assert Job.objects.get().stored == 0


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
        actions.cancel(make_job(self.alice))
        actions.delete(make_job(self.alice))
        make_job(self.alice)
        assert Job.objects.unfinished_of(self.alice).count() == 1

    def test_it_refuses_what_would_begin_again(self) -> None:
        ready, cancelled = loaded(self.alice, start=False), loaded(self.alice)
        actions.cancel(cancelled, self.alice)
        for _ in range(2):
            make_job(self.alice)
        for verb, job in (("start", ready), ("try", ready), ("resume", cancelled)):
            with self.assertRaisesMessage(Refused, BUSY):
                actions.ACTIONS[verb].run(job, self.alice)

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
            actions.start(ready, self.sam)


class PageTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def test_it_says_how_much_is_in_use(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=5):
            keep(self.alice)
            sentence = "Your files and rows take 0.6 MB of the 5 MB that you may store here."
            self.assertContains(self.client.get("/jobs/new/"), sentence)
        with override_settings(JOBS_MAX_STORED_MB=0):
            self.assertContains(self.client.get("/jobs/new/"), "Your files and rows take 0.6 MB.")

    def test_it_says_so_in_the_admin(self) -> None:
        keep(self.alice)
        Job.objects.filter(pk=loaded(self.alice, sized(300, 1_000)).pk).update(stored=1_400_000)
        self.client.force_login(self.sam)
        self.assertContains(self.client.get("/admin/auth/user/"), '<td class="field-stored">2.3</td>', html=True)

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
