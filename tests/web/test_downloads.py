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

from batchweb.asgi import application
from jobs import results
from jobs.models import Item, ItemState, Job
from tests.base import csv_of, loaded, worked


def failing(at: int) -> str:
    return "fail:Broken" if at % 4 == 1 else "ok"


class DownloadCase(TransactionTestCase):
    """With real commits: downloads read in threads of their own."""

    def setUp(self) -> None:
        self.alice = User.objects.create_user("alice")
        self.client.force_login(self.alice)
        readers = ThreadPoolExecutor(max_workers=1)
        patched = patch.object(results, "_readers", readers)
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
        with patch.object(results, "CHUNK", 4):
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
        assert answer["Cache-Control"] == "no-store"
        assert answer["X-Content-Type-Options"] == "nosniff"


class StreamTests(DownloadCase):
    async def test_it_sends_the_first_piece_before_it_reads_the_last(self) -> None:
        job = await sync_to_async(loaded)(self.alice, csv_of(5))
        may_end = threading.Event()

        def chunks(job: Job, format: str) -> Iterator[str]:
            yield "first"
            assert may_end.wait(10)
            yield "last"

        with patch.object(results, "chunks", chunks):
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

        def chunks(job: Job, format: str) -> Iterator[str]:
            nonlocal read
            while True:
                read += 1
                yield "x"

        with patch.object(results, "chunks", chunks):
            line = await sync_to_async(self.request)(f"/jobs/{job.code}/results.csv")
            await line.send_input({"type": "http.request"})
            await line.receive_output(5)
            await line.receive_output(5)
            await line.send_input({"type": "http.disconnect"})
            await line.wait(5)
        at_the_end = read
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
