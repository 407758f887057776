"""Taking results home: complete, in order, at any moment, and a piece at a time."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, TransactionTestCase
from openpyxl import load_workbook

from batchweb import concurrency
from batchweb.asgi import application
from jobs import actions
from jobs.export import reader, results, streaming
from jobs.models import Item, ItemState, Job
from jobs.views import downloads
from tests.base import csv_of, loaded, worked
from tests.steps import part_done


def failing(at: int) -> str:
    return "fail:Broken" if at % 4 == 1 else "ok"


class DownloadCase(TransactionTestCase):
    """With real commits: downloads read in threads of their own."""

    def setUp(self) -> None:
        self.alice = User.objects.create_user("alice")
        self.client.force_login(self.alice)
        readers = ThreadPoolExecutor(max_workers=1)
        patched = patch.object(streaming, "_readers", readers)
        patched.start()
        self.addCleanup(patched.stop)
        self.addCleanup(lambda: readers.submit(connections.close_all).result(10))

    def get(self, job: Job, name: str) -> Any:
        return self.client.get(f"/jobs/{job.code}/{name}")

    def text(self, job: Job, name: str) -> str:
        async def collected() -> bytes:
            client = self.async_client
            await client.aforce_login(self.alice)
            answer: Any = await client.get(f"/jobs/{job.code}/{name}")
            assert answer.status_code == 200
            return b"".join([chunk async for chunk in answer.streaming_content])

        return async_to_sync(collected)().decode()

    def rows(self, job: Job, name: str = "results.csv") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text(job, name), newline="")))


class ResultTests(DownloadCase):
    def test_it_holds_every_row_in_order(self) -> None:
        job = worked(self.alice, csv_of(30, failing))
        rows = self.rows(job)
        assert [row["row"] for row in rows] == [str(at + 1) for at in range(30)]
        assert [row["name"] for row in rows] == [f"item {at}" for at in range(30)]
        assert [row["state"] for row in rows] == ["failed" if at % 4 == 1 else "succeeded" for at in range(30)]

    def test_it_holds_every_row_while_the_job_runs(self) -> None:
        job = loaded(self.alice, csv_of(30))
        Item.objects.filter(job=job, position__lt=10).update(state=ItemState.SUCCEEDED, result='"done"')
        rows = self.rows(job)
        assert [row["state"] for row in rows] == ["succeeded"] * 10 + ["pending"] * 20

    def test_it_says_that_there_is_nothing_of_a_file_that_is_not_read(self) -> None:
        job = worked(self.alice)
        self.client.force_login(self.alice)
        for state, said in (("loading", "still being read"), ("invalid", "cannot be read")):
            Job.objects.filter(pk=job.pk).update(state=state)
            for name in ("results.csv", "results.jsonl", "failed.csv"):
                answer = self.client.get(f"/jobs/{job.code}/{name}")
                assert (answer.status_code, said in answer.content.decode()) == (409, True), (state, name)

    def test_it_holds_every_row_as_json(self) -> None:
        job = worked(self.alice, csv_of(12, failing))
        lines = [json.loads(line) for line in self.text(job, "results.jsonl").splitlines()]
        assert [line["row"] for line in lines] == list(range(1, 13))
        assert lines[0]["input"] == {"name": "item 0", "simulate": "ok"}
        assert lines[1]["error_kind"] == "Broken"

    def test_it_joins_its_pieces_without_a_seam(self) -> None:
        job = worked(self.alice, csv_of(25))
        with patch.object(reader, "CHUNK", 4):
            assert [row["row"] for row in self.rows(job)] == [str(at + 1) for at in range(25)]

    def test_it_holds_exactly_the_failed_rows(self) -> None:
        rows = self.rows(worked(self.alice, csv_of(12, failing)), "failed.csv")
        assert [(row["row"], row["error_kind"]) for row in rows] == [("2", "Broken"), ("6", "Broken"), ("10", "Broken")]
        assert list(rows[0]) == ["name", "simulate", "row", "error_kind", "error", "attempts"]

    def test_it_guards_cells_against_formulas(self) -> None:
        job = worked(self.alice, 'name,simulate\n"=HYPERLINK(""x"")",ok\n-5,ok\n@x,fail:=1+1\n')
        assert [row["name"] for row in self.rows(job)] == ['\'=HYPERLINK("x")', "-5", "'@x"]
        (row,) = self.rows(job, "failed.csv")
        assert (row["name"], row["error_kind"]) == ("'@x", "'=1+1")

    def test_it_knows_no_other_formats(self) -> None:
        job = worked(self.alice)
        for name in ("results.exe", "results.", "results.CSV", "failed.jsonl"):
            assert self.get(job, name).status_code == 404, name

    def test_it_names_the_file_after_the_job(self) -> None:
        for name, shown in (
            ("rows.csv", "rows-results.csv"),
            ("Äpfel & Birnen.jsonl", "Äpfel-Birnen-results.csv"),
            ('a"; filename="evil.exe', "a-filename-evil.exe-results.csv"),
            ("../../x\r\nSet-Cookie: a=b", "x-Set-Cookie-a-b-results.csv"),
        ):
            job = loaded(self.alice)
            Job.objects.filter(pk=job.pk).update(name=name)
            disposition = self.get(job, "results.csv")["Content-Disposition"]
            assert disposition.startswith("attachment; filename")
            assert unquote(disposition.split("=", 1)[1].removeprefix("utf-8''")).strip('"') == shown

    def test_it_says_what_it_is_and_is_not_kept(self) -> None:
        answer = self.get(worked(self.alice), "results.jsonl")
        assert answer["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert answer["Cache-Control"] == "private, no-cache"
        assert answer["X-Content-Type-Options"] == "nosniff"


class StreamTests(DownloadCase):
    async def test_it_sends_the_first_piece_before_it_reads_the_last(self) -> None:
        job = await sync_to_async(loaded)(self.alice, csv_of(5))
        may_end = threading.Event()

        def pieces(*_: Any) -> Iterator[bytes]:
            yield b"first"
            assert may_end.wait(10)
            yield b"last"

        with patch.object(downloads, "FEW", 0), patch.object(results, "pieces", pieces):
            line = await sync_to_async(self.request)(f"/jobs/{job.code}/results.csv")
            await line.send_input({"type": "http.request"})
            assert (await line.receive_output(5))["status"] == 200
            assert (await line.receive_output(5))["body"] == b"first"
            assert await line.receive_nothing(0.1)
            may_end.set()
            assert (await line.receive_output(5))["body"] == b"last"
            await line.wait(5)

    async def test_it_stops_reading_when_nobody_listens(self) -> None:
        job = await sync_to_async(loaded)(self.alice, csv_of(5))
        read = 0

        def pieces(*_: Any) -> Iterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield bytes(streaming.MADE)

        with patch.object(downloads, "FEW", 0), patch.object(results, "pieces", pieces):
            line = await sync_to_async(self.request)(f"/jobs/{job.code}/results.csv")
            await line.send_input({"type": "http.request"})
            await line.receive_output(5)
            await line.receive_output(5)
            await line.send_input({"type": "http.disconnect"})
            await line.wait(5)
        await asyncio.sleep(0.05)
        at_the_end = read  # with what was being made already
        await asyncio.sleep(0.05)
        assert read == at_the_end

    def request(self, path: str) -> ApplicationCommunicator:
        client = Client()
        client.force_login(self.alice)
        name = settings.SESSION_COOKIE_NAME
        headers = [(b"host", b"localhost"), (b"cookie", f"{name}={client.cookies[name].value}".encode())]
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "headers": headers,
                 "query_string": b""}  # fmt: skip
        return ApplicationCommunicator(application, scope)


class ChosenTests(DownloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.job = worked(self.alice, csv_of(12, failing))

    def test_it_takes_the_chosen_rows(self) -> None:
        assert [row["row"] for row in self.rows(self.job, "results.csv?state=failed")] == ["2", "6", "10"]
        assert [row["row"] for row in self.rows(self.job, "results.csv?rows=3,5-6")] == ["3", "5", "6"]
        lines = self.text(self.job, f"results.jsonl?cause={self.job.causes.get().pk}").splitlines()
        assert [json.loads(line)["row"] for line in lines] == [2, 6, 10]

    def test_it_takes_only_failed_rows_to_be_fixed(self) -> None:
        for query in ("rows=1-7", "rows=1-7&state=succeeded", f"rows=2,6&cause={self.job.causes.get().pk}"):
            assert [row["row"] for row in self.rows(self.job, f"failed.csv?{query}")] == ["2", "6"], query

    def test_it_says_which_rows_there_are_not(self) -> None:
        for name in ("results.csv?state=odd", "results.xlsx?cause=0", "failed.csv?rows=99", "failed.csv?rows=<b>"):
            answer = self.get(self.job, name)
            assert answer.status_code == 400, name
            self.assertContains(answer, "There are no such rows", status_code=400)
            self.assertNotContains(answer, "<b>", status_code=400)

    def test_it_says_in_the_name_what_is_in_the_file(self) -> None:
        for name, shown in (
            ("results.xlsx", "rows-results.xlsx"),
            ("results.json?state=failed", "rows-results-failed.json"),
            ("results.csv?rows=1", "rows-results-rows.csv"),
            ("failed.csv", "rows-failed.csv"),
            ("failed.csv?rows=2", "rows-failed-rows.csv"),
        ):
            assert f'filename="{shown}"' in self.get(self.job, name)["Content-Disposition"]

    def test_it_makes_a_workbook(self) -> None:
        answer = self.get(self.job, "results.xlsx")
        assert answer["Content-Type"] == results.FORMATS["xlsx"]
        data = b"".join(results.pieces(self.job, "xlsx"))
        assert answer["Content-Length"] == str(len(data))
        assert load_workbook(io.BytesIO(data))["Results"].max_row == 13

    def test_it_shows_nothing_to_others(self) -> None:
        self.client.force_login(User.objects.create_user("bob"))
        for format in results.FORMATS:
            assert self.get(self.job, f"results.{format}?state=odd").status_code == 404


class FreshTests(DownloadCase):
    def test_it_says_that_the_job_changed_meanwhile(self) -> None:
        job = worked(self.alice, csv_of(3))
        with patch.object(reader, "_read", side_effect=reader.Changed("The job was deleted meanwhile.")):
            for name in ("results.csv", "results.xlsx", "results.json", "failed.csv"):
                answer = self.client.get(f"/jobs/{job.code}/{name}")
                assert answer.status_code == 410
                assert "The job was deleted meanwhile." in answer.content.decode()

    def test_a_person_takes_large_rows_home_one_job_at_a_time(self) -> None:
        job = worked(self.alice, csv_of(3))
        Job.objects.filter(pk=job.pk).update(stored=3_000_000)
        large = concurrency.large_downloads
        with patch.object(large, "timeout", 0.0), large.taken(self.alice.pk):
            answer = self.client.get(f"/jobs/{job.code}/results.csv")
        assert (answer.status_code, "large rows is under way" in answer.content.decode()) == (429, True)
        assert self.client.get(f"/jobs/{job.code}/results.csv").status_code == 200

    def test_it_sends_nothing_that_the_browser_has(self) -> None:
        job = worked(self.alice)
        for name in ("results.csv", "results.xlsx?state=failed", "failed.csv"):
            tag = self.get(job, name)["ETag"]
            answer = self.client.get(f"/jobs/{job.code}/{name}", headers={"If-None-Match": tag})
            assert (answer.status_code, answer["ETag"], answer.content) == (304, tag, b""), name
            assert answer["Cache-Control"] == "private, no-cache"

    def test_it_has_a_tag_for_each_content(self) -> None:
        job = worked(self.alice)
        names = ("results.csv", "results.csv?rows=1", "results.csv?rows=2", "results.json", "failed.csv")
        tags = {self.get(job, name)["ETag"] for name in names}
        assert len(tags) == len(names)
        assert self.get(worked(self.alice), "results.csv")["ETag"] not in tags

    def test_it_has_another_tag_once_something_changed(self) -> None:
        job = loaded(self.alice, csv_of(4))
        tags = [self.get(job, "results.csv")["ETag"]]
        for step in (part_done, lambda job: job.cancel(self.alice), lambda job: actions.retry(job, self.alice)):
            step(job)
            tags.append(self.get(job, "results.csv")["ETag"])
        assert len(set(tags)) == 4

    def test_it_tells_the_length_of_what_is_small(self) -> None:
        job = worked(self.alice)
        for name in ("results.csv", "results.json", "failed.csv"):
            assert self.get(job, name)["Content-Length"] == str(len(self.text(job, name).encode())), name

    def test_it_tells_no_length_of_what_is_large(self) -> None:
        job = worked(self.alice)
        with patch.object(downloads, "FEW", 0):
            assert not self.get(job, "results.csv").has_header("Content-Length")
        with patch.object(streaming, "SMALL", 100):
            assert not self.get(job, "results.csv").has_header("Content-Length")
            assert len(self.rows(job)) == 5

    def test_it_answers_for_the_headers_alone(self) -> None:
        job = worked(self.alice)
        for few in (0, 1_000):
            with patch.object(downloads, "FEW", few):
                got = self.get(job, "results.csv")
                asked: Any = self.client.head(f"/jobs/{job.code}/results.csv")
            assert asked.status_code == 200
            names = ("ETag", "Content-Disposition", "Content-Type", "Content-Length", "Cache-Control")
            assert [asked.get(name) for name in names] == [got.get(name) for name in names]
            assert b"".join(asked.streaming_content) == b""
