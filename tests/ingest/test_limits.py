"""Every limit on files that a setting sets, and the sentence of who meets it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.checks import run_checks
from django.test import SimpleTestCase, override_settings

from batchweb.checks import RANGES
from jobs import files
from jobs.ingest import limits
from tests.base import People, loaded, states, worked
from tests.files.corpus import bomb, parts, workbook, zipped

MB = 1_000_000
WIDE = "a,b,c,d\n1,2,3,4\n5,6,7,8\n"
LONG = '{"q": "%s"}\n'

# Setting, its value, a file that meets it, and the sentence.
WHOLE: list[tuple[str, int, Callable[[], bytes], str]] = [
    ("JOBS_MAX_ROWS", 2, lambda: b"id\n1\n2\n3\n", "The file has more than 2 rows, which is the limit."),
    ("JOBS_MAX_ROWS", 2, lambda: b"[1, 2, 3]", "The file has more than 2 rows, which is the limit."),
    ("JOBS_MAX_COLUMNS", 3, WIDE.encode, "The file has 4 columns or more; the limit is 3."),
    (
        "JOBS_MAX_UNPACKED_MB",
        1,
        lambda: gzip.compress(b"id,q\n" + b"1,some words\n" * 100_000),
        "The file unpacks to more than 1,000,000 bytes, which is the limit.",
    ),
    (
        "JOBS_MAX_UNPACKED_MB",
        1,
        lambda: zipped(parts("<row><c><v>1</v></c></row>" * 50_000)),
        "The file unpacks to more than 1,000,000 bytes, which is the limit.",
    ),
    (
        "JOBS_MAX_RATIO",
        20,
        lambda: bomb(b"id,q\n", b"1,some words\n", 25),
        "The file unpacks to more than 20 times its size, which is the limit.",
    ),
    (
        "JOBS_MAX_RATIO",
        20,
        lambda: zipped(parts("<row><c><v>1</v></c></row>" * 1_000_000)),
        "The file unpacks to more than 20 times its size, which is the limit.",
    ),
    (
        "JOBS_MAX_SHEETS",
        2,
        lambda: workbook(("A", [["id"], [1]]), ("B", [["id"], [1]]), ("C", [["id"], [1]])),
        "The workbook has 3 sheets; the limit is 2.",
    ),
]

# The same for limits that cost a row and not the file; it is the second row that meets it.
ROWS: list[tuple[str, int, bytes, str]] = [
    ("JOBS_MAX_CELL_CHARS", 5, b"id,q\n1,abcde\n2,abcdef\n", "has 6 characters in column q, the limit is 5"),
    ("JOBS_MAX_CELL_CHARS", 5, (LONG % "abcde" + LONG % "abcdef").encode(), "has 6 characters in column q, the limit"),
    ("JOBS_MAX_CELL_CHARS", 5, b"words\nmore words\n", "is longer than 5 characters"),
    ("JOBS_MAX_ROW_MB", 1, b"id,q\n1,a\n2," + b"x" * MB + b"\n", "is longer than 1,000,000 bytes"),
    ("JOBS_MAX_ROW_MB", 1, (LONG % "a" + LONG % ("x" * MB)).encode(), "is longer than 1,000,000 bytes"),
    ("JOBS_MAX_JSON_DEPTH", 2, b'{"a": [1]}\n{"a": [[1]]}\n', "is nested deeper than 2 levels"),
    ("JOBS_MAX_COLUMNS", 2, b'{"a": 1, "b": 2}\n{"a": 1, "b": 2, "c": 3}\n', "has 3 keys, the limit is 2"),
]


@pytest.mark.parametrize(("name", "value", "data", "sentence"), WHOLE)
def test_it_refuses_a_file_over_a_limit(
    settings: LazySettings, name: str, value: int, data: Callable[[], bytes], sentence: str
) -> None:
    setattr(settings, name, value)

    with pytest.raises(files.Unreadable) as refused:
        list(limits.open_rows(io.BytesIO(data())))
    assert str(refused.value) == sentence


@pytest.mark.parametrize(("name", "value", "data", "sentence"), ROWS)
def test_it_refuses_a_row_over_a_limit(
    settings: LazySettings, name: str, value: int, data: bytes, sentence: str
) -> None:
    setattr(settings, name, value)
    first, second = limits.open_rows(io.BytesIO(data))

    assert (first.reason, second.reason[: len(sentence)]) == ("", sentence)


class SettingTests(SimpleTestCase):
    def test_it_allows_as_much_as_the_readers_do_by_themselves(self) -> None:
        assert limits.limits() == files.LIMITS

    def test_it_says_which_value_makes_no_sense(self) -> None:
        for name, (least, most) in RANGES.items():
            for value in (least - 1, most + 1):
                with override_settings(**{name: value}):
                    found = {check.msg for check in run_checks()}
                assert found == {f"{name} must be from {least:,} to {most:,}, not {value:,}."}

    def test_it_wants_files_to_hold_something(self) -> None:
        with override_settings(JOBS_MAX_UPLOAD_BYTES=0):
            assert [check.msg for check in run_checks()] == ["JOBS_MAX_UPLOAD_MB must be at least 1."]


class LoadingTests(People):
    def test_it_keeps_to_the_limits_when_a_job_is_read(self) -> None:
        with override_settings(JOBS_MAX_ROWS=3):
            job = loaded(self.alice, "id\n1\n2\n3\n4\n")
        assert (job.state, job.reason) == ("invalid", "The file has more than 3 rows, which is the limit.")

    def test_it_rejects_the_rows_that_a_limit_is_for(self) -> None:
        with override_settings(JOBS_MAX_CELL_CHARS=5):
            job = loaded(self.alice, "id\n1\n123456\n", start=False)
        assert states(job) == ["pending", "rejected"]

    def test_it_reads_json_as_deep_as_may_be_set(self) -> None:
        most = RANGES["JOBS_MAX_JSON_DEPTH"][1]
        with override_settings(JOBS_MAX_JSON_DEPTH=most):
            text = "[" * most + "]" * most
            job = worked(self.alice, f"{text}\n[{text}]\n", name="a.jsonl")
        assert states(job) == ["succeeded", "rejected"]


class PageTests(People):
    def preview(self, data: bytes, **fields: Any) -> str:
        self.client.force_login(self.alice)
        form = {"head": io.BytesIO(data), "size": str(len(data)), "name": "rows"}
        return self.client.post("/jobs/preview/", form | fields).content.decode()

    def test_it_says_so_in_the_preview(self) -> None:
        with override_settings(JOBS_MAX_COLUMNS=3):
            assert "The file has 4 columns or more; the limit is 3." in self.preview(WIDE.encode())
        with override_settings(JOBS_MAX_CELL_CHARS=5):
            assert "has 6 characters in column q, the limit is 5" in self.preview(b"id,q\n1,abcde\n2,abcdef\n")
