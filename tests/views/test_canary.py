"""A processor that tells its secret in every way: nobody reads it afterwards, wherever they look."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import ClassVar
from unittest.mock import patch
from zipfile import ZipFile

from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test import SimpleTestCase, override_settings
from django.urls import reverse

from batchweb.redact import Formatter
from jobs import tasks
from jobs.engine.redaction import Written
from jobs.export import results
from jobs.export.reader import EVERY_ROW
from jobs.live import frame, hub
from jobs.models import Attempt, Item, ItemState, Job
from tests.base import People, loaded
from tests.canary import CANARY, found_in
from tests.processors import leaking

PAGES = (
    "", "snapshot.json", "items/", "causes/", "activity/", "retry/", "corrections/", "setup/", "cells.bin",
    "series.json",
)  # fmt: skip


def rows_of(processor: str) -> str:
    ways = leaking.WAYS if processor == "leak" else leaking.IN_CHILD
    return "way,of\n" + "".join(f"{way},{at}\n" for at, way in enumerate(ways))


def tables() -> Iterator[tuple[str, str]]:
    """Each table of the database, with all that stands in it as one text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = [[bytes(cell).decode("latin-1") if isinstance(cell, (bytes, memoryview)) else cell for cell in row]
                    for row in cursor.fetchall()]  # fmt: skip
            yield table, "\n".join(str(cell) for row in rows for cell in row)


def parts_of(workbook: bytes) -> list[str]:
    with ZipFile(io.BytesIO(workbook)) as parts:
        return [parts.read(name).decode() for name in parts.namelist()]


class CanaryCase(People):
    """Works once on rows that leak, and keeps what was written meanwhile."""

    processor: ClassVar[str]
    written: ClassVar[str]
    job: ClassVar[Job]
    sent: ClassVar[list[str]]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        registered = override_settings(JOBS_PROCESSORS=["tests.processors.leaking"])
        cls.enterClassContext(registered)
        stream, handler = io.StringIO(), logging.StreamHandler()
        handler.setFormatter(Formatter("%(name)s %(message)s"))
        handler.setStream(stream)
        guarded = Written(stream)
        logging.root.addHandler(handler)
        try:
            with redirect_stdout(guarded), redirect_stderr(guarded), patch.object(sys, "__stderr__", guarded):
                cls.job = loaded(
                    cls.alice, rows_of(cls.processor), processor=cls.processor, parameters={"token": CANARY},
                    timeout=2.0, attempts=2, backoff=0.01, workers=4,
                )  # fmt: skip
                tasks.work()
                cls.job.refresh_from_db()
        finally:
            logging.root.removeHandler(handler)
        cls.written = stream.getvalue()

    def setUp(self) -> None:
        self.client.force_login(self.sam)


class Looks:
    """Where it is looked for; the same for threads and for child processes."""

    def test_it_did_leak(self: CanaryCase) -> None:  # type: ignore[misc]
        assert self.job.state == "finished"
        found = {json.loads(item.payload)[0]: item for item in Item.objects.filter(job=self.job)}
        assert {item.state for item in found.values()} == {ItemState.FAILED}
        logs = Attempt.objects.filter(job=self.job).exclude(log="")
        assert len({attempt.position for attempt in logs}) >= len(leaking.WAYS)
        for way in ("raises", "chains", "is_cut", "is_huge", "tells_its_locals", "groups"):
            assert "•••" in "".join(logs.filter(position=found[way].position).values_list("trace", flat=True)), way

    def test_it_stands_nowhere_in_the_database(self: CanaryCase) -> None:  # type: ignore[misc]
        for table, text in tables():
            assert not found_in(text), table

    def test_it_stands_nowhere_in_what_was_written(self: CanaryCase) -> None:  # type: ignore[misc]
        assert not found_in(self.written)

    def test_it_stands_on_no_page(self: CanaryCase) -> None:  # type: ignore[misc]
        base = f"/jobs/{self.job.code}/"
        urls = [base + page for page in PAGES]
        urls += [f"{base}items/{row}/{page}" for row in range(1, self.job.total + 1) for page in ("", "edit/")]
        urls += ["/", "/jobs/list.json", f"/jobs/new/?again={self.job.code}", f"{base}change/"]
        for url in urls:
            answer = self.client.get(url, follow=True)
            assert not found_in(answer.content.decode("latin-1" if url.endswith("bin") else "utf-8")), url

    def test_it_stands_in_no_export(self: CanaryCase) -> None:  # type: ignore[misc]
        for format in results.ENDINGS.values():
            whole = b"".join(results.pieces(self.job, format, EVERY_ROW))
            texts = [whole.decode()] if format != "xlsx" else parts_of(whole)
            assert not any(map(found_in, texts)), format
        assert not found_in("".join(results.failed_chunks(self.job)))

    def test_it_stands_nowhere_in_the_admin(self: CanaryCase) -> None:  # type: ignore[misc]
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            urls = [reverse(f"{name}_changelist")]
            urls += [reverse(f"{name}_{page}", args=[row.pk]) for row in model._default_manager.all()[:60]
                     for page in ("change", "history")]  # fmt: skip
            for url in [*urls, f"/admin/jobs/item/?job={self.job.code}"]:
                assert not found_in(self.client.get(url, follow=True).content.decode()), url

    def test_it_stands_in_no_frame(self: CanaryCase) -> None:  # type: ignore[misc]
        head = hub.read_head(self.job.code, None)
        assert head
        for since in range(self.job.seq):
            text, binary = hub.frames(head, since)
            assert not found_in(text + (binary or b"").decode("latin-1"))
        assert not found_in(json.dumps(frame.stats(self.job), default=str))

    def test_it_is_written_by_no_command(self: CanaryCase) -> None:  # type: ignore[misc]
        out = io.StringIO()
        with self.assertRaises(SystemExit):
            call_command("rotate_secrets", stdout=out, stderr=out)
        call_command("dumpdata", stdout=out, stderr=out)
        assert not found_in(out.getvalue())


class ThreadTests(Looks, CanaryCase):
    processor = "leak"

    def test_it_wrote_all_but_the_secret(self) -> None:
        for words in (
            "some.client GET https://example.org/?key=•••", "from afar •••", "printed •••", "hanging with •••",
            "The fallback of leak failed.",
        ):  # fmt: skip
            assert words in self.written


class ChildTests(Looks, CanaryCase):
    processor = "leak-in-child"


class FinderTests(SimpleTestCase):
    """What looks for it would see it."""

    def test_it_finds_every_spelling(self) -> None:
        for way in leaking.spellings(CANARY):
            assert found_in(f"before {way} after"), way

    def test_it_finds_nothing_elsewhere(self) -> None:
        assert not found_in("•••, and dXNlcjp4 %2F \\u00e9 636e72")
