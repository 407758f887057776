"""CorrectedItem rows that come back over the page, and from a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs import tasks
from jobs.export import results
from jobs.models import Activity, Item, Job, Run, Upload
from jobs.models.states import POSSIBLE
from tests.base import People, csv_of, states, worked
from tests.steps import wrong
from tests.views.fixed import BEFORE, STATES, differing, fresh, job_in, rows, said


class CorrectionTests(People):
    job: Job

    def setUp(self) -> None:
        self.job = worked(self.alice, csv_of(6, lambda at: "fail:Red" if at % 3 == 1 else "ok"), name="rows.csv")
        self.client.force_login(self.alice)

    def path(self, name: str = "corrections") -> str:
        return reverse(f"jobs:{name}", args=[self.job.code])

    def send(self, data: bytes | str, name: str = "failed.csv") -> Any:
        content = data.encode() if isinstance(data, str) else data
        return self.client.post(self.path(), {"file": SimpleUploadedFile(name, content)}, follow=True)

    def fixed(self) -> str:
        return "".join(results.failed_chunks(self.job)).replace("fail:Red", "ok")

    def test_it_shows_what_a_file_changes_before_anything_runs(self) -> None:
        answer = self.send(self.fixed())
        assert (answer.context["found"].changed, answer.context["found"].unchanged) == (2, 0)
        self.assertContains(answer, "<del>fail:Red</del>", 2, html=True)
        self.assertContains(answer, "<ins>ok</ins>", 2, html=True)
        assert states(self.job).count("failed") == 2

    def test_it_fixes_and_tries_them_again(self) -> None:
        key = self.send(self.fixed()).context["upload"].pk
        answer = self.client.post(self.path("correct"), {"file": key}, follow=True)
        self.assertContains(answer, "2 items fixed and queued again.")
        tasks.work()
        assert states(self.job) == ["succeeded"] * 6
        assert Run.objects.latest("pk").upload_id == key
        assert Activity.objects.filter(job=self.job, verb="correct").get().by == self.alice

    def test_it_tries_unchanged_rows_only_when_asked(self) -> None:
        key = self.send("".join(results.failed_chunks(self.job))).context["upload"].pk
        answer = self.client.post(self.path("correct"), {"file": key}, follow=True)
        self.assertContains(answer, "there is nothing to correct")
        self.client.post(self.path("correct"), {"file": key, "unchanged": "1"})
        assert states(self.job).count("pending") == 2

    def test_it_fixes_once_however_often_it_is_pressed(self) -> None:
        key = self.send(self.fixed()).context["upload"].pk
        self.client.post(self.path("correct"), {"file": key})
        answer = self.client.post(self.path("correct"), {"file": key}, follow=True)
        self.assertContains(answer, "there is nothing to correct")
        assert Run.objects.filter(kind="correction").count() == 1

    def test_it_says_what_is_wrong_with_a_file(self) -> None:
        for data, sentence in (
            ("", "There is no file, or it is empty."),
            ("name,simulate\nx,ok\n", "has no column “row”"),
            (b"\0\1\2\3" * 50, ""),
        ):
            answer = self.send(data)
            assert answer.status_code == 422
            self.assertContains(answer, sentence, status_code=422)

    def test_it_leads_to_the_rows_that_can_be_fixed(self) -> None:
        rejected = "results.csv?state=rejected"
        self.assertNotContains(self.client.get(self.path()), rejected)
        self.job = worked(self.alice, csv_of(3, lambda at: "what" if at else "ok"))
        self.assertContains(self.client.get(self.path()), rejected)
        self.assertNotContains(self.client.get(self.path()), "failed.csv")

    def test_it_takes_nobody_elses_file(self) -> None:
        key = self.send(self.fixed()).context["upload"].pk
        self.client.force_login(self.sam)
        assert self.client.get(f"{self.path()}?file={key}").status_code == 410
        assert self.client.post(self.path("correct"), {"file": key}).status_code == 410
        for nonsense in ("x", "", "9" * 40):
            assert self.client.get(f"{self.path()}?file={nonsense}").status_code == 410

    def test_it_shows_hostile_cells_as_text(self) -> None:
        answer = self.send('name,simulate,row\n"<script>alert(1)</script>",ok,2\n', name="<img src=x>.csv")
        self.assertContains(answer, "&lt;script&gt;")
        self.assertNotContains(answer, "<img src=x")

    def test_it_asks_no_more_of_the_database_for_more_rows(self) -> None:
        asked = []
        for count in (2, 300):
            self.job = worked(self.alice, csv_of(count, lambda at: "fail:Red"))
            key = self.send(self.fixed()).context["upload"].pk
            with CaptureQueriesContext(connection) as queries:
                self.client.get(f"{self.path()}?file={key}")
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 15

    def test_it_fixes_exactly_these_rows_in_each_state(self) -> None:
        for state in STATES:
            with self.subTest(state=state):
                job = job_in(state, self.alice)
                key = self.kept(job, "row,simulate,name\n1,fail:X,x\n2,ok,x\n4,fail:Red,item 3\n5,ok,x\n8,ok,x\n")
                before, told = rows(job), Activity.objects.count()
                assert self.client.get(f"/jobs/{job.code}/corrections/?file={key}").status_code == 200
                assert differing(before, rows(job)) == set()
                answer = self.client.post(f"/jobs/{job.code}/correct/", {"file": key})
                taken, sentence = self.outcome(state)
                assert (differing(before, rows(job)), said(answer)) == (taken, sentence)
                assert wrong(job) == []
                if not taken:
                    assert (fresh(job).state, Activity.objects.count(), Run.objects.filter(upload=key).count()) == (
                        job.state, told, 0
                    )  # fmt: skip

    def kept(self, job: Job, text: str) -> int:
        return Upload.keep(ContentFile(text.encode()), "failed.csv", self.alice).pk

    def outcome(self, state: str) -> tuple[set[int], str]:
        """The rows that are fixed, and what is said."""
        if state in BEFORE:
            return set(), POSSIBLE["retry"][1]
        if state == "cancelling":
            return set(), "Items of this job are still in flight. Try again once they have come back."
        if state == "flawless":
            return set(), "None of these rows has failed or was rejected, so there is nothing to correct."
        taken = {2, 5, 8} if state == "cancelled" else {2, 8}
        return taken, f"{len(taken)} items fixed and queued again."

    def test_it_tells_whoever_may_act_that_their_file_is_used_up(self) -> None:
        self.client.force_login(self.sam)
        key = self.send(self.fixed()).context["upload"].pk
        self.client.post(self.path("correct"), {"file": key})
        assert Upload.objects.get(pk=key).owner == self.alice
        answer = self.client.post(self.path("correct"), {"file": key}, follow=True)
        self.assertContains(answer, "there is nothing to correct")

    # From a terminal

    def correct(self, text: str, *options: str) -> str:
        said = io.StringIO()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "failed.csv"
            path.write_text(text)
            call_command("correct", self.job.code, str(path), *options, stdout=said, stderr=said)
        return said.getvalue()

    def test_it_corrects_from_a_terminal(self) -> None:
        said = self.correct(self.fixed() + "x,ok,99,,,\n")
        assert "Row 3 of the file: The job has no row 99; it has 6." in said
        assert "3 rows: 2 changed, 0 unchanged, 1 left alone." in said
        assert "2 items fixed and queued again." in said
        tasks.work()
        assert states(self.job) == ["succeeded"] * 6

    def test_it_only_says_so_in_a_dry_run(self) -> None:
        assert "2 changed" in self.correct(self.fixed(), "--dry-run")
        assert states(self.job).count("failed") == 2
        assert Upload.objects.count() == 1

    def test_it_leaves_no_file_behind_where_it_is_refused(self) -> None:
        with self.assertRaisesRegex(CommandError, "nothing to correct"):
            self.correct("".join(results.failed_chunks(self.job)))
        with self.assertRaisesRegex(CommandError, "no column “row”"):
            self.correct("name,simulate\nx,ok\n")
        assert Upload.objects.count() == 1
        assert Item.objects.filter(job=self.job, state=3).count() == 2
