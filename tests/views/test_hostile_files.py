"""Files that are made to hurt, on every way in: whoever sends one gets a sentence, and others notice nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from django.core.files.base import ContentFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from jobs.ingest import inspection
from jobs.ingest.sandbox import Budget, Failed, Sandbox, Slots
from jobs.models import Job, Upload
from tests.base import csv_of, worked
from tests.files.corpus import parts, zipped
from tests.views.test_job_new import FormCase, file

MB: Final = 1_000_000
QUICK: Final = Budget(cpu=1, wait=60, memory=200 * MB, disk=MB, output=MB)
SHEET: Final = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>' + "".join(
    f'<row r="{at}"><c r="A{at}" t="s"><v>0</v></c></row>' for at in range(2, 1_100)
)


def styled(code: str) -> str:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return (
        f'<styleSheet xmlns="{main}"><numFmts count="1"><numFmt numFmtId="200" formatCode="{code}"/></numFmts>'
        '<cellXfs count="1"><xf numFmtId="200"/></cellXfs></styleSheet>'
    )


def padded_workbook() -> bytes:
    """A workbook whose list of sheets has 37 MB."""
    found = parts('<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>')
    names = '<definedName name="a">S!$A$1</definedName>' * 880_000
    text = str(found["xl/workbook.xml"])
    return zipped(
        found | {"xl/workbook.xml": text.replace("</workbook>", f"<definedNames>{names}</definedNames></workbook>")}
    )


FILES: Final[dict[str, Callable[[], tuple[str, bytes]]]] = {
    "blanks in a header": lambda: ("a.csv", b'"1' + b" " * 130_000 + b'x",b\n1,2\n'),
    "dots in a cell": lambda: ("a.csv", b"a,b\nwww." + b"." * 80_000 + b",2\n"),
    "brackets in a number format": lambda: (
        "a.xlsx",
        zipped(parts('<row r="1"><c r="A1" s="0"><v>1</v></c></row>' * 3, **{"xl/styles.xml": styled("[" * 500_000)})),
    ),
    "one text for many cells": lambda: ("a.xlsx", zipped(parts(SHEET, ["x" * MB]))),
    "a list of sheets of 37 MB": lambda: ("a.xlsx", padded_workbook()),
}


@contextmanager
def growth_below(megabytes: int) -> Iterator[None]:
    """Counts the memory of this process, which is the web server, and not that of children."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    yield
    assert resident("VmHWM") - before < megabytes * 1_000


def resident(name: str) -> int:
    """In kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def children() -> list[str]:
    pid = inspection.SANDBOX.server.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class HostileCase(FormCase):
    patch: pytest.MonkeyPatch

    def setUp(self) -> None:
        super().setUp()
        self.patch = pytest.MonkeyPatch()
        self.addCleanup(self.patch.undo)
        self.patch.setattr(inspection, "budget_for", lambda size: QUICK)
        self.patch.setattr(inspection, "budget_for_rows", lambda size: QUICK)

    def kept(self, name: str, data: bytes) -> Upload:
        return Upload.keep(ContentFile(data, name=name), name, self.alice)

    def preview(self, data: bytes, name: str) -> HttpResponse:
        return self.client.post(  # type: ignore[return-value]
            "/jobs/preview/", {"head": file(data[: 1 << 18], "head"), "name": name, "size": min(len(data), 1 << 18)}
        )

    def stored(self, data: bytes, name: str) -> HttpResponse:
        return self.client.post("/jobs/preview/", {"upload": self.kept(name, data).pk})  # type: ignore[return-value]

    def sent(self, data: bytes, name: str) -> HttpResponse:
        return self.send(data, name, workers=0)

    def corrections(self, data: bytes, name: str) -> HttpResponse:
        job = worked(self.alice, csv_of(4, lambda at: "fail:Red"))
        address = reverse("jobs:corrections", args=[job.code])
        return self.client.get(address, {"file": self.kept(name, data).pk})  # type: ignore[return-value]


class HostileFileTests(HostileCase):
    def test_it_answers_and_stays_small(self) -> None:
        inspection.SANDBOX.server.warm()
        for name, made in FILES.items():
            called, data = made()
            for road in (self.preview, self.stored, self.sent, self.corrections):
                with self.subTest(file=name, road=road.__name__), growth_below(60):
                    assert road(data, called).status_code in (200, 422)
                    assert children() == []


class SentenceTests(HostileCase):
    """Whatever a child dies of is told where the file was sent."""

    WAYS: Final = {
        b"compute_only": "takes too long to look at",
        b"grow": "takes too much memory",
        b"fill": "unpacks to too much",
        b"shout": "is too much: over 1 MB",
        b"crash": "broke down over it",
        b"refuse": "The file is empty.",
    }

    def setUp(self) -> None:
        super().setUp()
        self.box = Sandbox("tests.ingest.sandbox.hostile", Slots(size=4, share=2, queue=1, timeout=0.0))
        self.addCleanup(self.box.server.stop)
        self.patch.setattr(inspection, "SANDBOX", self.box)

    def test_it_says_in_a_preview_what_happened(self) -> None:
        for way, sentence in self.WAYS.items():
            for road in (self.preview, self.stored):
                with self.subTest(way=way, road=road.__name__):
                    self.assertContains(road(way, "a.csv"), sentence)

    def test_it_says_at_the_form_what_happened(self) -> None:
        for way, sentence in self.WAYS.items():
            with self.subTest(way=way):
                answer = self.send(way)
                assert answer.status_code == 422
                assert sentence in str(answer.context["form"].errors["file"])  # type: ignore[attr-defined]
        assert not Upload.objects.exists()

    def test_it_says_at_corrections_what_happened(self) -> None:
        for way, sentence in self.WAYS.items():
            with self.subTest(way=way):
                self.assertContains(self.corrections(way, "a.csv"), sentence, status_code=422)

    def test_it_corrects_nothing_by_such_a_file(self) -> None:
        job = worked(self.alice, csv_of(4, lambda at: "fail:Red"))
        key = self.kept("a.csv", b"crash").pk
        answer = self.client.post(reverse("jobs:correct", args=[job.code]), {"file": key}, follow=True)
        self.assertContains(answer, "broke down over it", status_code=422)
        assert Job.objects.get(pk=job.pk).counts()["failed"] == 4

    def test_it_fills_in_the_form_of_a_job_whose_file_hurts(self) -> None:
        job = worked(self.alice, csv_of(4))
        Path(job.upload.file.path).write_bytes(b"crash")
        assert self.client.get("/jobs/new/", {"again": job.code}).status_code == 200

    def test_it_refuses_one_person_too_many_at_once_and_serves_others(self) -> None:
        with self.busy(), self.busy():
            self.assertContains(self.preview(b"refuse", "a.csv"), "Other files of yours are being looked at")
            other = Client()
            other.force_login(self.bob)
            answer = other.post("/jobs/preview/", {"head": file(b"refuse", "head"), "size": 6})
            self.assertContains(answer, "The file is empty.")
            assert other.get("/").status_code == 200
        self.assertContains(self.preview(b"refuse", "a.csv"), "The file is empty.")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While another request of the same person is on its way."""
        with self.box.open("look", ContentFile(b"sleep"), Budget(), self.alice.pk) as session:
            session.receive()
            yield

    def test_it_answers_others_while_a_file_is_looked_at(self) -> None:
        order: list[str] = []

        def look() -> None:
            with pytest.raises(Failed):
                self.box.call("look", ContentFile(b"compute_only"), QUICK, self.alice.pk)
            order.append("given up")

        with self.busy():
            looking = threading.Thread(target=look)
            looking.start()
            while self.box.slots.taken[self.alice.pk] < 2:
                pass
            assert self.client.get("/").status_code == 200
            order.append("answered")
            looking.join()
        assert order == ["answered", "given up"]
