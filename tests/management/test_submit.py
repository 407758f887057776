"""`manage.py submit`: the same job as the page makes, and a status for scripts."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.contrib.auth.models import User
from django.test import SimpleTestCase, override_settings

from jobs import actions, tasks
from jobs.files import Unreadable
from jobs.ingest import importer
from jobs.models import Job, JobState
from tests.base import People, csv_of
from tests.files.corpus import workbook
from tests.management.terminals import Done, run


def working() -> None:
    """A worker and a reader of files."""
    for job in Job.objects.filter(state=JobState.LOADING):
        importer.load(job)
    tasks.work()


class SubmitCase(People):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, text: str | bytes = csv_of(6), name: str = "rows.csv") -> str:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def submit(self, path: str, *arguments: str, processor: str = "simulate", **options: Any) -> Done:
        quick = ["--param", "seconds=0"] if processor == "simulate" else []
        return run("submit", path, "--processor", processor, *quick, *arguments, **{"meanwhile": working} | options)


class MadeTests(SubmitCase):
    def test_it_prints_the_address_of_the_job(self) -> None:
        address = self.folder / "address"
        address.write_text("http://127.0.0.1:8765\n")
        with override_settings(ADDRESS_FILE=address):
            done = self.submit(self.file())
        assert (done.status, done.out) == (0, f"http://127.0.0.1:8765/jobs/{Job.objects.get().code}/\n")

    def test_it_makes_what_was_asked_for(self) -> None:
        self.submit(
            self.file(), "--workers", "3", "--attempts", "2", "--timeout", "9", "--rate", "4.5", "--name", "Mine",
            "--user", "bob", "--param", "fail=0.25",
        )  # fmt: skip
        job = Job.objects.get()
        assert (job.workers, job.attempts, job.timeout, job.rate) == (3, 2, 9.0, 4.5)
        assert (job.name, job.owner, job.parameters["fail"]) == ("Mine", self.bob, 0.25)

    def test_it_reads_any_format(self) -> None:
        book = workbook(("May", [["id", "note"], *([n, "ok"] for n in range(20_000))]))
        for data, name in ((book, "a.xlsx"), (gzip.compress(csv_of(6).encode()), "b"), (b'[{"id": 1}]', "c.json")):
            self.assertEqual(self.submit(self.file(data, name)).status, 0)
        shapes = [job.file_shape for job in Job.objects.order_by("pk")]
        self.assertEqual([(s.format, s.compression) for s in shapes], [("xlsx", ""), ("csv", "gzip"), ("json", "")])

    def test_it_looks_beyond_the_first_part_for_the_encoding(self) -> None:
        self.submit(self.file(b"id,q\n" + b"1,plain\n" * 50_000 + b"2,gr\xf6\xdfer\n"))
        self.assertEqual(Job.objects.get().file_shape.encoding, "cp1252")

    def test_it_belongs_to_the_first_admin(self) -> None:
        User.objects.create_superuser("zoe")
        self.submit(self.file())
        assert Job.objects.get().owner == self.sam

    def test_it_has_a_minute_for_an_attempt_and_no_limit_for_nought(self) -> None:
        self.submit(self.file())
        self.submit(self.file(), "--timeout", "0")
        assert list(Job.objects.order_by("pk").values_list("timeout", flat=True)) == [60.0, None]

    def test_it_maps_columns_by_name_and_by_order(self) -> None:
        text = "a,query\n1,2\n"
        self.submit(self.file(text), processor="rewrite-query")
        self.submit(self.file(text), "--map", "query=a", processor="rewrite-query")
        assert [job.mapping for job in Job.objects.order_by("pk")] == [{"query": "query"}, {"query": "a"}]


class StatusTests(SubmitCase):
    @override_settings(JOBS_MAX_UPLOAD_BYTES=20)
    def test_it_is_2_when_the_file_is_too_large(self) -> None:
        done = self.submit(self.file())
        assert (done.status, Job.objects.count()) == (2, 0)
        assert "the limit here is 20" in done.err

    def test_it_is_0_when_all_succeeded(self) -> None:
        done = self.submit(self.file(), "--watch")
        assert done.status == 0
        assert done.err == "Finished: 6 succeeded of 6.\n"

    def test_it_is_1_when_some_did_not(self) -> None:
        done = self.submit(self.file(csv_of(6, lambda at: "ok" if at else "fail:Broken")), "--watch")
        assert done.status == 1
        assert done.err == "Finished with failures: 5 succeeded, 1 failed of 6.\n"

    def test_it_is_2_when_the_job_was_paused(self) -> None:
        def read_then_pause() -> None:
            importer.load(Job.objects.get())
            actions.pause(Job.objects.get())

        done = self.submit(self.file(), "--watch", meanwhile=read_then_pause)
        assert done.status == 2
        assert done.err == "Paused: 6 waiting of 6. Paused by a person.\n"

    def test_it_is_2_when_the_watching_was_stopped(self) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        done = self.submit(self.file(), "--watch", meanwhile=interrupted)
        assert (done.status, done.err) == (2, "The job goes on without being watched.")

    def test_it_is_2_when_the_file_turns_out_to_be_unreadable(self) -> None:
        with patch("jobs.files.read", side_effect=Unreadable("Row 9 ends in the middle.")):
            done = self.submit(self.file(), "--watch")
        assert done.status == 2
        assert "Row 9 ends in the middle." in done.err


class ResultTests(SubmitCase):
    def test_it_writes_the_ordered_result(self) -> None:
        out = self.folder / "out.csv"
        done = self.submit(self.file(), "--results", str(out))
        assert done.status == 0
        with out.open(newline="") as file:
            assert [row["name"] for row in csv.DictReader(file)] == [f"item {at}" for at in range(6)]
        assert sorted(path.name for path in self.folder.iterdir()) == ["out.csv", "rows.csv"]

    def test_it_says_before_it_starts_that_the_result_cannot_be_written(self) -> None:
        done = self.submit(self.file(), "--results", str(self.folder / "nowhere" / "out.csv"))
        assert done.status == 2
        assert done.err.endswith("out.csv cannot be written: No such file or directory.")
        assert not Job.objects.exists()


class RefusedTests(SubmitCase):
    def refused(self, path: str, *arguments: str, **options: Any) -> str:
        done = self.submit(path, *arguments, **options)
        assert done.status == 2, done
        assert not Job.objects.exists()
        return done.err

    def test_it_says_what_is_wrong_with_the_file(self) -> None:
        assert "cannot be read: No such file or directory." in self.refused(str(self.folder / "none.csv"))
        assert "cannot be read: Is a directory." in self.refused(str(self.folder))
        for content in (b"", b"a,b\n", b"\x89PNG\r\n\x1a\n\0\0"):
            assert self.refused(self.file(content)).endswith(".")

    def test_it_says_what_is_wrong_with_the_mapping(self) -> None:
        path = self.file("a,b\n1,2\n")
        for arguments, sentence in (
            ([], "No column fits the input “query”. Name one with --map query=COLUMN; the file has: a, b."),
            (["--map", "query=c"], "The file has no column “c”. It has: a, b."),
            (["--map", "url=a"], "rewrite-query has no input “url”. It has: query."),
            (["--map", "query"], "--map wants NAME=VALUE, not “query”."),
        ):
            assert self.refused(path, *arguments, processor="rewrite-query") == sentence

    def test_it_says_what_is_wrong_with_the_parameters(self) -> None:
        for parameter in ("seconds=soon", "seconds=-1", "nonsense=1", "seconds"):
            assert self.refused(self.file(), "--param", parameter).endswith(".")

    def test_it_says_what_is_wrong_with_the_policy(self) -> None:
        for arguments, sentence in (
            (["--workers", "0"], "--workers must be from 1 to 200, not 0."),
            (["--workers", "201"], "--workers must be from 1 to 200, not 201."),
            (["--attempts", "21"], "--attempts must be from 1 to 20, not 21."),
            (["--timeout", "-1"], "--timeout must be 0 or more, not -1."),
            (["--timeout", "nan"], "--timeout must be 0 or more, not nan."),
            (["--rate", "0"], "--rate must be above 0 and up to 1,000,000, not 0."),
            (["--rate", "1e306"], "--rate must be above 0 and up to 1,000,000, not 1e+306."),
        ):
            assert self.refused(self.file(), *arguments) == sentence

    def test_it_says_who_and_what_it_does_not_know(self) -> None:
        assert "There is no person called “nobody”." in self.refused(self.file(), "--user", "nobody")
        assert self.refused(self.file(), processor="nonsense").endswith("set JOBS_PROCESSORS in this terminal, too.")
        with override_settings(JOBS_PROCESSORS=["mine"]):
            assert "; known are fetch-url, " in self.refused(self.file(), processor="nonsense")
        User.objects.all().delete()
        assert self.refused(self.file()) == "There is no administrator yet; `manage.py up` makes one."


class ProcessTests(SimpleTestCase):
    """As a shell sees it."""

    def test_it_answers_with_a_sentence_where_nothing_is_set_up(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
            done = subprocess.run(
                [sys.executable, "manage.py", "submit", "samples/queries.csv", "--processor", "rewrite-query"],
                cwd=settings.BASE_DIR,
                env=environment | {"DATA_DIR": folder},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 2
        assert "The database does not answer: no such table: auth_user." in done.stderr
        assert "Traceback" not in done.stderr
