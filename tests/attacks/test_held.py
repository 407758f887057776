"""What has always held, and must go on holding: other people's jobs, addresses at home, entities, markup, formulas."""

from __future__ import annotations

import csv
import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from html.parser import HTMLParser

import openpyxl
import pytest

from tests.attacks import raw
from tests.attacks.attack import TRACE, Attack
from tests.attacks.target import Target, code_of
from tests.files.corpus import parts, zipped
from tests.system import csv_of, until

pytestmark = pytest.mark.attacks

# Other people's jobs

READ = ("", "snapshot.json", "cells.bin", "series.json", "setup/", "items/", "items/1/", "items/1/edit/", "results.csv",
        "results.jsonl", "results.json", "results.xlsx", "failed.csv", "problems.csv", "activity/", "corrections/",
        "corrections/1/", "causes/", "retry/", "accept/", "change/")  # fmt: skip
WRITTEN = ("start", "try", "adjust", "pause", "resume", "cancel", "retry", "accept", "rename", "change",
           "share", "give", "delete", "corrections", "correct", "items/1/edit", "share/1/remove")  # fmt: skip


@pytest.mark.fast
def test_it_shows_and_gives_nobody_the_jobs_of_others(prey: Target) -> None:
    code = prey.job("mallory", csv_of(3), name="Private matters")
    prey.ended(prey.as_("mallory"), code)
    eve, nobody = prey.as_("eve"), prey.stranger()
    for place in READ:
        assert eve.get(f"/jobs/{code}/{place}").status_code == 404, place
        assert "Private matters" not in nobody.get(f"/jobs/{code}/{place}").text, place
    for verb in WRITTEN:
        fields = {"name": "Mine", "person": "eve", "may": "act", "workers": "3"}
        assert prey.post(eve, f"/jobs/{code}/{verb}/", fields).status_code == 404, verb
        refused = nobody.post(f"/jobs/{code}/{verb}/", data=fields, follow_redirects=False)
        assert refused.status_code in (302, 401, 403), verb
    assert "Private matters" in prey.as_("mallory").get(f"/jobs/{code}/").text
    assert code not in eve.get("/").text + eve.get("/jobs/list.json").text


@pytest.mark.fast
def test_it_looks_into_no_file_of_others(prey: Target) -> None:
    sent = prey.post(prey.as_("mallory"), "/jobs/uploads/", {}, {"file": ("a.csv", b"word\nprivate-matter\n")})
    key, eve = str(sent.json()["upload"]), prey.as_("eve")
    assert prey.post(eve, "/jobs/preview/", {"upload": key, "processor": "simulate"}).status_code == 404
    made = prey.post(
        eve, "/jobs/new/", {"upload": key, "processor": "simulate", "workers": "1", "attempts": "1", "timeout": "9"}
    )
    assert not code_of(made)
    assert "private-matter" not in made.text
    token = eve.cookies["csrftoken"]
    assert eve.delete(f"/jobs/uploads/{key}/", headers={"X-CSRFToken": token, "Referer": prey.url}).status_code == 404


# Addresses at home

HOME = ("http://127.0.0.1:{}/", "http://localhost:{}/", "http://LOCALHOST.:{}/", "http://127.1:{}/",
        "http://0x7f.1:{}/", "http://0x7f000001:{}/", "http://2130706433:{}/", "http://0177.0.0.1:{}/",
        "http://0:{}/", "http://0.0.0.0:{}/", "http://[::1]:{}/", "http://[::]:{}/",
        "http://[::ffff:127.0.0.1]:{}/", "http://[::ffff:7f00:1]:{}/", "http://[0:0:0:0:0:ffff:127.0.0.1]:{}/",
        "http://[64:ff9b::7f00:1]:{}/", "http://[2002:7f00:1::]:{}/", "http://127。0。0。1:{}/",
        "http://１２７.0.0.1:{}/", "http://①②⑦.⓪.⓪.①:{}/", "http://127.0.0.1%00.example.org:{}/",
        "http://a@127.0.0.1:{}/", "http://example.org@127.0.0.1:{}/", "http://127.0.0.1:{}#@example.org/",
        "http://example.org\\@127.0.0.1:{}/", "http://127.0.0.1\\.example.org:{}/", "http:127.0.0.1:{}/",
        "http:///127.0.0.1:{}/", "http:/\\127.0.0.1:{}/", "//127.0.0.1:{}/", "\thttp://127.0.0.1:{}/",
        "HTTP://127.0.0.1:{}/", "https://127.0.0.1:{}/", "ftp://127.0.0.1:{}/", "gopher://127.0.0.1:{}/_x",
        "http://127.000.000.001:{}/", "http://127.255.255.254:{}/", "http://[::127.0.0.1]:{}/",
        "http://017700000001:{}/", "file:///etc/passwd", "data:text/plain,x", "dict://127.0.0.1:{}/",
        "http://[fe80::1%25lo]:{}/")  # fmt: skip


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port on all addresses of this machine, and who has come."""
    came: list[str] = []
    server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)

    def take() -> None:
        with suppress(OSError):
            while True:
                connection, address = server.accept()
                came.append(str(address))
                connection.close()

    threading.Thread(target=take, daemon=True).start()
    try:
        yield server.getsockname()[1], came
    finally:
        server.close()


@pytest.mark.fast
def test_it_fetches_nothing_at_home(prey: Target) -> None:
    with listener() as (port, came):
        text = "url\n" + "".join('"' + address.replace("{}", str(port)) + '"\n' for address in HOME)
        code = prey.job("mallory", text, processor="fetch-url", map_url="url", workers="20")
        frame = prey.ended(prey.as_("mallory"), code, 120)
    assert came == []
    assert frame["counts"]["succeeded"] == 0, frame["counts"]
    said = prey.as_("mallory").get(f"/jobs/{code}/results.csv").text
    assert "root:" not in said
    assert TRACE not in said


# Entities and what XML promises

DTD = (
    '<!DOCTYPE x [<!ENTITY a "{}"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
DOCTYPES = {
    "laughs": DTD.format("ha" * 50_000),
    "a file": '<!DOCTYPE x [<!ENTITY c SYSTEM "file:///etc/passwd">]>',
    "a server": '<!DOCTYPE x [<!ENTITY c SYSTEM "http://127.0.0.1:PORT/x">]>',
    "another DTD": '<!DOCTYPE x SYSTEM "http://127.0.0.1:PORT/x.dtd">',
    "a parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:PORT/x">%p;]>',
}


@pytest.mark.fast
def test_it_follows_no_entity(attack: Attack) -> None:
    """Workbooks whose parts declare entities."""
    with listener() as (port, came), attack:
        for doctype in DOCTYPES.values():
            for part in ("xl/workbook.xml", "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml",
                         "[Content_Types].xml", "_rels/.rels"):  # fmt: skip
                made = parts('<row><c t="str"><v>&c;</v></c></row>' * 3)
                declared = '<?xml version="1.0"?>' + doctype.replace("PORT", str(port))
                made[part] = declared + str(made[part])
                data = zipped(made)
                sent = {"name": "a.xlsx", "size": str(len(data)), "processor": "simulate"}
                mallory = attack.target.as_("mallory")
                answer = attack.ask(mallory, "POST", "/jobs/preview/", data=sent, files={"head": ("a.xlsx", data)})
                attack.check(answer is None or "root:" not in answer.text, "a file of the machine was shown")
        attack.check(not came, f"somebody was asked: {came}")


# Markup

MARKUP = ('<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>",
          "javascript:alert(1)", "{{ 7|add:7 }}{% load static %}", "</title><script>alert(1)</script>",
          "<!--<script>", "${alert(1)}", "</script><script>alert(1)</script>", "\u202e<b>x</b>",
          "&lt;script&gt;", "<a href='javascript:alert(1)'>x</a>")  # fmt: skip


class Scripts(HTMLParser):
    """Collects what a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        ours = str(values.get("src") or "").startswith("/static/")
        if tag == "script" and not ours and values.get("type") not in ("application/json", "importmap", "module"):
            self.found.append(f"<script {values}>")
        self.found += [f"{tag} {name}" for name in values if name.startswith("on")]
        leading = [values.get(name) or "" for name in ("href", "src", "action", "formaction")]
        self.found += [f"{tag} to {to}" for to in leading if to.strip().lower().startswith("javascript:")]


@pytest.mark.fast
def test_it_shows_what_was_typed_as_text(prey: Target) -> None:
    cells = "".join('"' + text.replace('"', '""') + '",fail:Broken\n' for text in MARKUP)
    head = '"' + MARKUP[0] + '",simulate\n'
    code = prey.job("mallory", head + cells, '<img src=x onerror="alert(1)">.csv', name=MARKUP[1], param_seconds=0.001)
    mallory = prey.as_("mallory")
    prey.ended(mallory, code)
    prey.post(mallory, f"/jobs/{code}/rename/", {"name": MARKUP[2]})
    key = prey.shell("from jobs.models import Job", f"print(Job.objects.get(code='{code}').pk)").splitlines()[-1]
    pages = [f"/jobs/{code}/{place}" for place in ("", "items/?state=all", "items/1/", "items/2/",
             "items/2/edit/", "causes/", "activity/", "setup/", "retry/", "corrections/", "nothing/")]  # fmt: skip
    pages += ["/", f"/jobs/new/?again={code}", "/jobs/processor/?processor=simulate&column=" + MARKUP[0],
              f"/jobs/{code}/items/?q={MARKUP[3]}", f"/accounts/login/?next={MARKUP[3]}",
              "/?q=" + MARKUP[0]]  # fmt: skip
    admin = [f"/admin/jobs/job/{key}/change/", "/admin/jobs/job/", f"/admin/jobs/item/?job={code}",
             "/admin/jobs/cause/", "/admin/jobs/activity/", f"/admin/jobs/job/?q={MARKUP[1]}"]  # fmt: skip
    wrong = []
    for who, paths in (("mallory", pages), ("staffan", pages + admin)):
        for path in paths:
            page = prey.as_(who).get(path)
            scripts = Scripts()
            scripts.feed(page.text)
            alerts = [found for found in scripts.found if "alert" in found or " on" in found]
            raw_markup = "<script>alert" in page.text or "<img src=x" in page.text or "<svg onload" in page.text
            if alerts or raw_markup or page.text.strip() == "14":
                wrong.append((who, path, alerts))
    assert not wrong, wrong[:6]


# Formulas

FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "'=1",
            "''＝1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example")')  # fmt: skip
STARTS = re.compile(r"[=+\-@＝＋－＠\t\r\n]")


@pytest.mark.fast
def test_it_hands_no_formula_to_a_spreadsheet(prey: Target) -> None:
    """A cell that a spreadsheet would take for a formula is guarded, and comes back as it was."""
    text = io.StringIO()
    csv.writer(text).writerows([("name", "simulate"), *((cell, "fail:=Broken") for cell in FORMULAS)])
    code = prey.job("mallory", text.getvalue(), param_seconds=0.001)
    mallory = prey.as_("mallory")
    prey.ended(mallory, code)
    kept = prey.as_("mallory").get(f"/jobs/{code}/results.jsonl").text
    for place in ("results.csv", "failed.csv"):
        page = mallory.get(f"/jobs/{code}/{place}").text
        rows = list(csv.reader(io.StringIO(page.lstrip("\ufeff"), newline="")))
        bad = [cell for row in rows[1:] for cell in row if STARTS.match(cell) and not re.fullmatch(r"-?[\d.]+", cell)]
        assert not bad, (place, bad)
        sent = prey.post(mallory, f"/jobs/{code}/corrections/", {}, {"file": ("c.csv", page.encode())})
        shown = mallory.get(sent.headers["Location"]).text
        assert re.search(r"no (row|change)|0 (rows|items)|nothing|unchanged|same", shown, re.IGNORECASE), place
    assert "＝1+1" in kept
    book = openpyxl.load_workbook(io.BytesIO(mallory.get(f"/jobs/{code}/results.xlsx").content))
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert cells
    assert not [cell.value for cell in cells if cell.data_type == "f"]


# Hostile files


@pytest.mark.fast
def test_it_says_a_sentence_about_files_that_are_none(attack: Attack) -> None:
    """Files that are damaged, mistaken or hostile."""
    good = zipped(parts('<row><c t="str"><v>a_xD800_b_x0000_</v></c></row>' * 3))
    files = {
        "a.xlsx": good[: len(good) // 2], "b.xlsx": good.replace(b"PK\1\2", b"PK\1\3"),
        "c.xlsx": b"PK\3\4" + b"\0" * 5_000, "d.xlsx": zipped({"xl/workbook.xml": "<x/>"}), "e.xlsx": good,
        "f.csv": b"\0" * 5_000, "g.csv": b"\xff\xfe\0\xd8" * 900, "h.json": b'[{"a": ' * 9_000,
        "i.jsonl": b'{"a": "\\ud800"}\n' * 9, "j.gz": b"\x1f\x8b\x08" + b"\0" * 900, "k.csv": b'a,"b\n' * 900,
        "l.txt": b"\r" * 9_000, "m.json": b"1e999999", "n.json": b'{"a":' + b"9" * 90_000 + b"}",
        "o.xlsx": zipped({"../../evil": "x", "xl/workbook.xml": "<x/>"}),
        "p.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 900, "q.jsonl": b'{"__proto__": {"a": 1}}\n' * 3,
        "r.csv": "a\u2028b,c\n1,2\n".encode(),
    }  # fmt: skip
    mallory = attack.target.as_("mallory")
    with attack:
        for name, data in files.items():
            sent = {"name": name, "size": str(len(data)), "processor": "simulate"}
            attack.ask(mallory, "POST", "/jobs/preview/", data=sent, files={"head": (name, data)})
            form = {"processor": "simulate", "workers": "1", "attempts": "1", "timeout": "9", "then": "check"}
            attack.ask(mallory, "POST", "/jobs/new/", data=form, files={"file": (name, data)})
        attack.others_pass()


@pytest.mark.fast
def test_it_reads_a_header_with_half_a_letter(prey: Target) -> None:
    """`_xD800_` in a workbook is half of a letter, and NUL is none."""
    cells = "".join(
        f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in ("_xD800_", "a_x0000_b", "_xDC00_", "name")
    )
    data = zipped(parts(f"<row>{cells}</row>" + "<row><c><v>1</v></c></row>" * 2))
    code = code_of(prey.made("mallory", data, "a.xlsx", then="check"))
    if not code:
        return
    until(lambda: prey.state("mallory", code) != "loading", 60, "the file was read")
    for place in ("", "items/?state=all", "items/1/", "results.csv", "setup/"):
        answer = prey.as_("mallory").get(f"/jobs/{code}/{place}")
        assert answer.status_code in (200, 302, 404, 409, 422), (place, answer.status_code)
        assert TRACE not in answer.text


@pytest.mark.fast
def test_it_keeps_hosts_apart(prey: Target) -> None:
    """A host that is not ours gets no page, and none of our pages names it."""
    for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1:abc", "", "127.0.0.1@evil.example", "a\tb"):
        said = raw.sent(prey, raw.request(prey, "GET", "/accounts/password_reset/", host=host or "x"))
        assert raw.status(said) in (400, 404), (host, said[:60])
    ask = partial(raw.request, prey, "GET", "/accounts/login/", "X-Forwarded-Host: evil.example")
    assert b"evil.example" not in raw.sent(prey, ask())
