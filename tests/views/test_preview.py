"""What the form of a new job shows of a file, and how a person says that it is to be read differently."""

from __future__ import annotations

import gzip
import random
from typing import Any

from django.core.files.base import ContentFile
from django.http import HttpResponse

from jobs.files import sniff
from jobs.ingest.preview import COUNTED, HEAD, Preview, of_file, of_head
from jobs.models import Upload
from tests.base import People, csv_of, make_job
from tests.files.corpus import workbook
from tests.views.test_job_new import FormCase, file

URL = "/jobs/preview/"
GERMAN = "Straße;Ort\r\nMüllerweg 3;Köln\r\nGrüner Weg 5;Münster\r\n".encode("cp1252")


class PreviewTests(FormCase):
    def preview(self, data: str | bytes, size: int | str | None = None, **fields: Any) -> HttpResponse:
        data = data.encode() if isinstance(data, str) else data
        size = len(data) if size is None else size
        form = {"head": file(data, "head"), "name": "rows.csv", "size": size, "processor": "simulate"} | fields
        return self.client.post(URL, form)  # type: ignore[return-value]

    def rows(self, data: str | bytes, complete: bool = True) -> list[Any]:
        data = data.encode() if isinstance(data, str) else data
        size = len(data) if complete else 2 * len(data)
        return of_head(data, sniff(data, "rows.csv", complete=complete), size).rows

    def test_it_shows_the_first_rows(self) -> None:
        assert [cells for cells, _ in self.rows(csv_of(9))] == [[f"item {at}", "ok"] for at in range(5)]

    def test_it_shows_every_row_of_a_small_file(self) -> None:
        assert len(self.rows("a,b\n1,2\n3,4")) == 2

    def test_it_leaves_out_a_row_that_may_be_cut(self) -> None:
        assert [cells for cells, _ in self.rows('a,b\n1,2\n3,"fo', complete=False)] == [["1", "2"]]

    def test_it_leaves_out_half_of_a_letter(self) -> None:
        cut = "a,b\n1,2\n3,ä".encode()[:-1]
        assert [cells for cells, _ in self.rows(cut, complete=False)] == [["1", "2"]]

    def test_it_shows_why_a_row_is_bad(self) -> None:
        assert self.rows("a,b\n1,2,3\n")[0][1]

    def test_it_says_what_was_understood(self) -> None:
        body = self.preview("a;b\n1;2\n").content.decode()
        assert "<th" in body
        assert 'name="column" value="b"' in body

    def test_it_says_why_a_file_cannot_be_used(self) -> None:
        for data in (b"", b"\x89PNG\r\n\x1a\n\0"):
            answer = self.preview(data)
            assert answer.status_code == 200
            assert "note error" in answer.content.decode()

    def test_it_survives_odd_questions(self) -> None:
        for size in ("", "x", "-1", "9" * 5_000):
            assert self.preview("a,b\n1,2\n", size=size).status_code == 200
        assert self.client.post(URL, {}).status_code == 200

    def test_it_shows_markup_as_text(self) -> None:
        body = self.preview("<script>alert(1)</script>,b\n<img src=x onerror=y>,2\n").content.decode()
        assert "<script>alert" not in body
        assert "<img src=x" not in body

    def test_it_reads_no_more_than_the_head(self) -> None:
        answer = self.preview("a,b\n" + "1,2\n" * HEAD)
        assert "The first 5 rows" in answer.content.decode()

    def test_it_offers_the_fields_of_a_processor(self) -> None:
        answer = self.client.get("/jobs/processor/", {"processor": "simulate", "column": ["name", "simulate"]})
        body = answer.content.decode()
        assert '<option value="simulate" selected>' in body
        assert 'name="param_seconds"' in body
        assert "<html" not in body

    def test_it_falls_back_to_the_first_processor(self) -> None:
        assert self.client.get("/jobs/processor/", {"processor": "nonsense"}).status_code == 200


class OptionTests(FormCase):
    """How the file is read, where the person knows better."""

    def preview(self, data: bytes, **fields: Any) -> str:
        form = {"head": file(data, "head"), "name": "rows.csv", "size": len(data), "processor": "simulate"} | fields
        return self.client.post(URL, form).content.decode()

    def test_it_says_in_which_encoding_a_file_is(self) -> None:
        body = self.preview(GERMAN)
        assert "Windows-1252" in body
        assert "Müllerweg 3" in body

    def test_it_reads_the_encoding_that_is_chosen(self) -> None:
        body = self.preview("name;Ort\nПетр;Köln\n".encode("koi8-r", "replace"), file_encoding="koi8-r")
        assert "Петр" in body
        assert "KOI8-R" in body

    def test_it_divides_at_the_delimiter_that_is_chosen(self) -> None:
        body = self.preview(b"a;b,c\n1;2,3\n", file_delimiter=",")
        assert 'name="column" value="a;b"' in body

    def test_it_divides_at_any_character(self) -> None:
        body = self.preview(b"a~b\n1~2\n", file_delimiter="other", file_delimiter_other="~")
        assert 'name="column" value="b"' in body
        assert 'value="~"' in body

    def test_it_takes_the_first_row_for_what_the_person_says(self) -> None:
        assert 'name="column" value="column 1"' in self.preview(b"a,b\n1,2\n", file_header="no")
        assert 'name="column" value="3"' in self.preview(b"3,4\n1,2\n", file_header="yes")

    def test_it_takes_the_format_that_is_chosen(self) -> None:
        assert "one item a line" in self.preview(b"a,b\n1,2\n", file_format="text")

    def test_it_says_at_the_option_what_cannot_be(self) -> None:
        body = self.preview(GERMAN, file_format="xlsx", file_header="no")
        assert '<p class="error" id="id_file_format_error">The file is no Excel workbook.</p>' in body
        assert 'name="column" value="column 1"' in body

    def test_it_says_at_the_other_delimiter_what_cannot_be(self) -> None:
        body = self.preview(GERMAN, file_delimiter="other", file_delimiter_other='"')
        assert 'id="id_file_delimiter_other_error">The delimiter must be' in body

    def test_it_blames_the_file_for_what_no_option_did(self) -> None:
        body = self.preview(b"", file_header="yes")
        assert '<div class="note error">' in body
        assert "id_file_header_error" not in body

    def test_it_makes_the_job_under_the_options(self) -> None:
        job = self.made(b"a;b,query\n1;2,3\n", file_delimiter=",", file_encoding="iso8859-1")
        assert (job.columns, job.shape["encoding"]) == (["a;b", "query"], "iso8859-1")

    def test_it_makes_no_job_under_an_option_that_cannot_be(self) -> None:
        for name, value in (("format", "xlsx"), ("format", "docx"), ("encoding", "klingon"), ("delimiter", '"')):
            assert list(self.errors(**{f"file_{name}": value})) == [f"file_{name}"], name

    def test_it_keeps_the_options_of_a_form_that_comes_back(self) -> None:
        body = self.send(file_delimiter="other", file_delimiter_other=",", workers=0).content.decode()
        assert '<option value="other" selected>' in body
        assert 'id="options" open' in body

    def test_it_shows_the_file_under_new_options_without_scripts(self) -> None:
        body = self.send("a;b,c\n1;2,3\n", file_delimiter=",", file_format="xlsx", refresh="1").content.decode()
        assert 'name="column" value="a;b"' in body
        assert "id_file_format_error" in body

    def test_it_chooses_a_sheet_of_a_workbook(self) -> None:
        data = workbook(("First", [["a"], ["1"]]), ("Second", [["query"], ["2"]]))
        assert '<option value="Second">Second</option>' in self.preview(data)
        assert 'name="column" value="query"' in self.preview(data, file_sheet="Second")
        assert self.made(data, "book.xlsx", file_sheet="Second").shape["sheet"] == "Second"

    def test_it_offers_no_sheet_of_other_files(self) -> None:
        assert "file_sheet" not in self.preview(GERMAN)


class WorkbookTests(FormCase):
    """A workbook shows nothing before all of it is there."""

    def setUp(self) -> None:
        super().setUp()
        draw = random.Random(5)
        rows = [["query", "note"], *([draw.randbytes(16_000).hex(), "a"] for _ in range(24))]
        self.book = workbook(("Questions", rows), ("More", [["x"], ["1"]]))

    def test_it_says_that_the_preview_comes_later(self) -> None:
        form = {"head": file(self.book[:HEAD], "head"), "name": "b.xlsx", "size": len(self.book)}
        body = self.client.post(URL, form).content.decode()
        assert "The preview comes when the file is here." in body
        assert "note error" not in body

    def test_it_shows_the_stored_workbook_and_its_sheets(self) -> None:
        upload = Upload.keep(file(self.book), "b.xlsx", self.alice)
        body = self.client.post(URL, {"upload": upload.pk}).content.decode()
        assert '<span class="chip">24 rows</span>' in body
        assert '<option value="More">' in body


class StoredTests(FormCase):
    """The preview of a file that has arrived."""

    def test_it_shows_a_stored_file(self) -> None:
        upload = Upload.keep(file(GERMAN), "rows.csv", self.alice)
        assert "Müllerweg 3" in self.client.post(URL, {"upload": upload.pk}).content.decode()

    def test_it_finds_the_encoding_that_the_first_part_does_not_tell(self) -> None:
        late = b"query,note\n" + b"plain text,a\n" * 40_000 + "Köln,b\n".encode("cp1252") * 20
        upload = Upload.keep(file(late), "rows.csv", self.alice)
        assert "Windows-1252" in self.client.post(URL, {"upload": upload.pk}).content.decode()

    def test_it_shows_nobody_elses_file(self) -> None:
        upload = Upload.keep(file(GERMAN), "rows.csv", self.bob)
        for key in (upload.pk, 10**30, "x", "-1"):
            assert self.client.post(URL, {"upload": key}).status_code == 404, key

    def test_it_shows_staff_the_files_of_jobs_that_they_see(self) -> None:
        job = make_job(self.alice)
        self.client.force_login(self.sam)
        assert self.client.post(URL, {"upload": job.upload.pk}).status_code == 200

    def test_it_says_that_a_stored_file_is_gone(self) -> None:
        upload = Upload.keep(file(GERMAN), "rows.csv", self.alice)
        upload.file.storage.delete(str(upload.file.name))
        body = self.client.post(URL, {"upload": upload.pk}).content.decode()
        assert "The file is not here any more. Choose it again." in body


class AmountTests(People):
    """How many rows there are, as far as can be said."""

    def of(self, data: bytes, size: int = 0) -> Preview:
        head = data[:HEAD]
        size = size or len(data)
        return of_head(head, sniff(head, "rows.csv", complete=size <= len(head)), size)

    def test_it_counts_a_file_that_is_there_as_a_whole(self) -> None:
        assert self.of(csv_of(1234).encode()).said == "1,234 rows"
        assert self.of(csv_of(1).encode()).said == "1 row"

    def test_it_estimates_the_rest_of_a_large_file(self) -> None:
        found = self.of(csv_of(41_234).encode())
        assert found.said.startswith("about 4")
        assert abs(found.amount - 41_234) < 1_500

    def test_it_says_least_what_gzip_may_hold(self) -> None:
        packed = gzip.compress(b"a,b\n" + b"1,2\n" * (COUNTED + 5))
        assert self.of(packed).said == "20,000 rows or more"

    def test_it_says_nothing_of_rows_of_which_it_saw_none(self) -> None:
        assert self.of(b'"' + b"x" * HEAD, 10 * HEAD).said == ""

    def test_it_says_least_what_a_large_workbook_holds(self) -> None:
        data = workbook(("One", [["a", "b"], *([str(at), "x"] for at in range(1_500))]))
        stream = ContentFile(data)
        assert of_file(stream, sniff(data, complete=True), len(data)).said == "1,000 rows or more"

    def test_it_guesses_what_the_columns_hold(self) -> None:
        found = self.of(b"n,day,who\n1,2026-01-02,Ann\n2,2026-01-03,Bo\n")
        assert found.heads == [("n", "whole number"), ("day", "date"), ("who", "text")]

    def test_it_says_why_a_whole_file_cannot_be_read(self) -> None:
        assert "never closed" in self.of(b'a,b\n1,2\n3,"4\n').trouble
