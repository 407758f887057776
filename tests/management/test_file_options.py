"""How `submit` and `preflight` are told what a file is, and what they say of a processor's wishes."""

from __future__ import annotations

import json
from typing import Any

from django.test import override_settings

from jobs.ingest import importer
from jobs.models import Item, Job, Upload
from tests.base import make_job, states
from tests.files.corpus import workbook
from tests.management.terminals import Done, run
from tests.management.test_submit import SubmitCase

CITIES = "Zoë;1,5\nJürgen;2,5\n".encode("cp1252")
PAGES = "id,url\n1,http://a.example\n2,\n3\n4,http://b.example\n"
NOTHING = "has nothing in “url”, which the processor needs"


class ShapeTests(SubmitCase):
    """Both commands take the same options, and mean the same by them."""

    def shape(self, data: bytes, *arguments: str, name: str = "rows.csv") -> dict[str, Any]:
        path = self.file(data, name)
        said = run("preflight", path, "--json", *arguments)
        assert said.status == 0, said
        done = self.submit(path, *arguments)
        assert done.status == 0, done
        shape = Job.objects.latest("pk").file_shape.to_dict()
        report = json.loads(said.out)
        assert {fact: report[fact] for fact in shape} == shape
        return shape

    def test_it_takes_the_encoding(self) -> None:
        assert self.shape(CITIES, "--encoding", "latin-1")["encoding"] == "iso8859-1"

    def test_it_takes_delimiters_by_name_and_as_they_are(self) -> None:
        for name, mark in (
            ("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("\\t", "\t"), ("bar", "|"), ("pipe", "|"), ("x", "x"),
        ):  # fmt: skip
            shape = self.shape(f"id{mark}a;b,c\n1{mark}2\n".encode(), "--delimiter", name)
            assert shape["delimiter"] == mark

    def test_it_is_told_whether_there_is_a_header(self) -> None:
        assert self.shape(b"1,2\n3,4\n", "--header")["columns"] == ["1", "2"]
        assert self.shape(b"id,q\n3,4\n", "--no-header")["columns"] == ["column 1", "column 2"]

    def test_it_takes_the_format(self) -> None:
        assert self.shape(b"id,q\n1,a\n", "--format", "text")["format"] == "text"

    def test_it_takes_the_sheet(self) -> None:
        data = workbook(("May", [["a"], [1]]), ("June", [["b"], [2]]))
        assert self.shape(data, "--sheet", "June", name="a.xlsx")["columns"] == ["b"]

    def refused(self, sentence: str, *arguments: str, data: bytes = b"id,q\n1,a\n") -> None:
        path = self.file(data)
        for done in (run("preflight", path, *arguments), self.submit(path, *arguments)):
            assert done.status in (1, 2)
            assert done.err == sentence
        assert not Job.objects.exists()

    def test_it_lists_what_it_knows(self) -> None:
        self.refused("“xml” is no format; known are csv, tsv, jsonl, json, xlsx, text.", "--format", "xml")
        known = "give one character, or one of comma, semicolon, tab, bar and pipe."
        self.refused(f"“colon” is no delimiter: {known}", "--delimiter", "colon")
        known = "known are utf-8, utf-16, windows-1252, latin-1 and others."
        self.refused(f"The encoding 'klingon' is not known; {known}", "--encoding", "klingon")
        self.refused("The file has no column “name”. It has: id, q.", "--key", "name")
        book = workbook(("May", [["a"], [1]]))
        self.refused("The workbook has no sheet 'July'; it has 'May'.", "--sheet", "July", data=book)
        self.refused("The file is no workbook, so it has no sheet “May”.", "--sheet", "May")


class SubmitTests(SubmitCase):
    def test_it_takes_the_columns_for_label_and_key(self) -> None:
        self.submit(self.file("n,word,code\n1,one,x1\n2,two,x2\n"), "--label", "word", "--key", "code")
        importer.load(Job.objects.get())
        assert list(Item.objects.values_list("label", "key")) == [("one", "x1"), ("two", "x2")]

    def test_it_knows_the_columns_for_a_label(self) -> None:
        done = self.submit(self.file("id,q\n1,a\n"), "--label", "name")
        assert (done.status, done.err) == (2, "The file has no column “name”. It has: id, q.")

    def test_it_leaves_a_job_that_is_to_be_checked(self) -> None:
        done = self.submit(self.file(PAGES), "--check", processor="fetch-url")
        job = Job.objects.get()
        assert (done.status, done.out.endswith(f"/jobs/{job.code}/\n")) == (0, True)
        importer.load(job)
        job.refresh_from_db()
        assert job.state == "ready"
        assert states(job) == ["pending", "rejected", "rejected", "pending"]

    def test_it_watches_until_the_file_is_checked(self) -> None:
        done = self.submit(self.file(PAGES), "--check", "--watch", processor="fetch-url")
        assert done.status == 0
        assert done.err.startswith("Ready: ")
        assert "2 rejected" in done.err

    def test_it_is_2_when_the_file_did_not_pass(self) -> None:
        with override_settings(JOBS_MAX_ROWS=2):
            done = self.submit(self.file(PAGES), "--check", "--watch", processor="fetch-url")
        assert done.status == 2
        assert done.err.endswith("The file has more than 2 rows, which is the limit.\n")

    def test_it_writes_no_result_of_a_check(self) -> None:
        done = self.submit(self.file(), "--check", "--results", str(self.folder / "out.csv"))
        assert (done.status, Job.objects.count()) == (2, 0)
        assert done.err == "There is no result with --check: leave out one of --check and --results."

    def test_it_is_2_beyond_a_quota(self) -> None:
        make_job(self.sam)
        with override_settings(JOBS_MAX_RUNNING_JOBS=1):
            done = self.submit(self.file())
        assert (done.status, Upload.objects.count(), Job.objects.count()) == (2, 1, 1)
        assert done.err.startswith("You have 1 job that has not ended; 1 at a time is allowed.")
        with override_settings(JOBS_MAX_STORED_MB=1):
            done = self.submit(self.file("id\n" + "1\n" * 500_000))
        assert (done.status, Upload.objects.count(), Job.objects.count()) == (2, 1, 1)
        assert "1 MB are allowed." in done.err


class PreflightTests(SubmitCase):
    def preflight(self, text: str, *arguments: str, name: str = "rows.csv") -> Done:
        return run("preflight", self.file(text, name), *arguments)

    def groups(self, text: str, *arguments: str) -> dict[str, list[tuple[int, str]]]:
        done = self.preflight(text, "--json", *arguments)
        assert done.status == 0, done
        groups = json.loads(done.out)["groups"]
        return {group["kind"]: [(one["row"], one["reason"]) for one in group["first"]] for group in groups}

    def test_it_reports_what_a_processor_refuses(self) -> None:
        found = self.groups(PAGES, "--processor", "fetch-url")
        assert found["refused"] == [(2, NOTHING)]
        assert [row for row, _ in found["too few cells"]] == [3]

    def test_it_prints_what_a_processor_refuses(self) -> None:
        done = self.preflight(PAGES, "--processor", "fetch-url")
        assert "bad rows:  2\n" in done.out
        assert f"refused: 1\n  row 2 {NOTHING}\n" in done.out

    def test_it_takes_no_processor_for_granted(self) -> None:
        assert list(self.groups(PAGES)) == ["too few cells"]

    def test_it_maps_columns(self) -> None:
        found = self.groups("a,b\n1,\n,2\n", "--processor", "fetch-url", "--map", "url=b")
        assert found == {"refused": [(1, "has nothing in “b”, which the processor needs")]}

    def test_it_finds_the_same_keys(self) -> None:
        text = "id,code\n1,x\n2,x\n"
        assert not self.groups(text)
        assert self.groups(text, "--key", "code") == {"duplicate key": [(2, "has the key x, which row 1 has too")]}

    def test_it_keeps_to_the_limits(self) -> None:
        with override_settings(JOBS_MAX_ROWS=3):
            done = self.preflight(PAGES)
        assert (done.status, done.err) == (1, "The file has more than 3 rows, which is the limit.")

    def test_it_says_what_is_wrong_with_the_options(self) -> None:
        for arguments, sentence in (
            (
                ["--processor", "fetch-url"],
                "No column fits the input “url”. Name one with --map url=COLUMN; the file has",
            ),
            (["--processor", "fetch-url", "--map", "url=c"], "The file has no column “c”. It has: a, b."),
            (["--processor", "fetch-url", "--map", "link=a"], "fetch-url has no input “link”. It has: url."),
            (["--processor", "simulate", "--param", "fail=2"], "“fail” must be at most 1, not “2.0”."),
            (["--processor", "fetch"], "There is no processor “fetch”; known are fetch-url, "),
        ):
            done = self.preflight("a,b\n1,2\n", *arguments)
            assert done.status == 1
            assert done.err.startswith(sentence), done.err
