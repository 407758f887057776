"""Files of a few kilobytes that cost whoever looks at them seconds or gigabytes."""

from __future__ import annotations

import json
import socket
import zipfile
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.attacks import inputs
from tests.attacks.attack import Attack
from tests.attacks.inputs import FORMATS, MB, NASTY
from tests.attacks.speed import first_fast
from tests.attacks.target import code_of
from tests.files.corpus import bomb, zipped
from tests.system import until

pytestmark = pytest.mark.attacks
Answer = httpx.Response | None

SHAPES: dict[str, tuple[Callable[[str], bytes], str]] = {
    "header": (inputs.in_header, "a.csv"),
    "cells": (inputs.in_row, "a.csv"),
    "JSON": (inputs.in_json, "a.jsonl"),
    "lines": (inputs.in_text, "a.txt"),
}


def preview(attack: Attack, data: bytes, name: str, who: str = "mallory") -> Answer:
    """What the page of a new job says of the first part of a file."""
    sent = {"name": name, "size": str(len(data)), "processor": "simulate"}
    return attack.ask(attack.target.as_(who), "POST", "/jobs/preview/", data=sent, files={"head": (name, data)})


def upload(attack: Attack, data: bytes, name: str, who: str = "mallory") -> str:
    """The key of a file that was stored; nothing where it was refused."""
    answer = attack.ask(attack.target.as_(who), "POST", "/jobs/uploads/", files={"file": (name, data)})
    return str(answer.json()["upload"]) if answer is not None and answer.status_code == 201 else ""


def preview_stored(attack: Attack, data: bytes, name: str, who: str = "mallory") -> Answer:
    """What the page of a new job says of a file that was sent as a whole."""
    key = upload(attack, data, name, who)
    sent = {"upload": key, "name": name, "processor": "simulate"}
    return attack.ask(attack.target.as_(who), "POST", "/jobs/preview/", data=sent) if key else None


def check(attack: Attack, data: bytes, name: str, who: str = "mallory", **fields: object) -> str:
    """The code of a job that was made of it and waits for its start, as far as it gets; nothing where it is refused."""
    sent = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "then": "check"}
    sent |= {name: str(value) for name, value in fields.items()}
    answer = attack.ask(attack.target.as_(who), "POST", "/jobs/new/", data=sent, files={"file": (name, data)},
                        follow_redirects=False)  # fmt: skip
    return code_of(answer) if answer is not None and answer.status_code in (200, 302) else ""


def settled(attack: Attack, code: str, who: str = "mallory") -> str:
    """The state in which a job comes to rest once its file was read."""
    waiting = ("loading", "queued", "running")
    until(lambda: attack.target.state(who, code) not in waiting, 150, f"the file of job {code} was read")
    return attack.target.state(who, code)


# Patterns


@pytest.mark.parametrize("shape", first_fast(SHAPES))
def test_it_previews_cells_that_break_patterns(attack: Attack, shape: str) -> None:
    """Previews of cells that break patterns."""
    make, name = SHAPES[shape]
    files = [make(cell) for cell in NASTY.values()]
    with attack:
        attack.together([partial(preview, attack, data, name) for data in files], 8)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_makes_jobs_of_cells_that_break_patterns(attack: Attack, shape: str) -> None:
    """Jobs of cells that break patterns."""
    make, name = SHAPES[shape]
    files = [make(cell) for cell in NASTY.values()]
    with attack:
        codes = attack.together([partial(check, attack, data, name) for data in files], 8)
        attack.others_pass()
        for code in filter(None, codes):
            attack.check(settled(attack, code) in ("ready", "invalid", "cancelled"), f"job {code} never came to rest")


def test_it_opens_pages_of_jobs_with_such_cells(attack: Attack) -> None:
    """Pages, searches and downloads of a job whose cells break patterns."""
    rows = "".join(json.dumps({"text": cell}) + "\n" for cell in NASTY.values())
    target = attack.target
    code = target.job("mallory", rows, "a.jsonl", param_seconds=0.001)
    target.ended(target.as_("mallory"), code)
    places = ["", "items/?state=all", "items/1/", "items/5/", "results.csv", "results.xlsx", "failed.csv", "causes/",
              "activity/", "items/?q=" + "a" * 199 + "b", "items/?q=www."]  # fmt: skip
    with attack:
        calls = [partial(attack.ask, target.as_("mallory"), "GET", f"/jobs/{code}/{place}") for place in places]
        attack.together(calls * 3, 12)


@pytest.mark.parametrize("kind", first_fast(FORMATS))
def test_it_previews_numbers_of_a_long_format(attack: Attack, kind: str) -> None:
    """A preview of a workbook whose format of numbers is half a million characters."""
    data = inputs.styled(FORMATS[kind])
    with attack:
        attack.together([partial(preview, attack, data, "a.xlsx")] * 3)


def test_it_makes_jobs_of_numbers_of_a_long_format(attack: Attack) -> None:
    """Jobs of workbooks whose formats of numbers are half a million characters."""
    files = [inputs.styled(code) for code in FORMATS.values()]
    with attack:
        codes = attack.together([partial(check, attack, data, "a.xlsx") for data in files], 8)
        attack.others_pass()
        for code in filter(None, codes):
            attack.check(settled(attack, code) in ("ready", "invalid", "cancelled"), f"job {code} never came to rest")


# Memory

WORKBOOKS: dict[str, Callable[[], bytes]] = {
    "1,100 rows that share a text": lambda: zipped(inputs.shared_text(1_100, "x" * MB)),
    "300 rows of three cells that share a text": lambda: zipped(inputs.shared_text(300, "x" * MB, 3)),
    "shared texts under another name": lambda: zipped(inputs.shared_elsewhere(inputs.short_texts(150))),
    "a long text under another name": lambda: zipped(
        inputs.shared_elsewhere(inputs.shared_text(3, inputs.sparse(200 * MB)))
    ),
    "short shared texts": lambda: zipped(inputs.short_texts(45)),
    "a workbook part of 37 MB": lambda: inputs.padded("xl/workbook.xml", 37),
    "37 MB of sheets": lambda: inputs.many_sheets(37),
    "a name of 37 MB": lambda: inputs.attributes(37),
    "content types of 45 MB": lambda: inputs.padded("[Content_Types].xml", 45),
    "relations of 45 MB": lambda: inputs.padded("xl/_rels/workbook.xml.rels", 45),
    "styles of 45 MB": lambda: inputs.padded("xl/styles.xml", 45),
}  # fmt: skip


@pytest.mark.parametrize("kind", WORKBOOKS)
def test_it_looks_into_a_workbook_that_unpacks_to_much(attack: Attack, kind: str) -> None:
    """Previews of a small workbook that takes much memory."""
    data = WORKBOOKS[kind]()
    with attack:
        attack.together([partial(preview_stored, attack, data, "a.xlsx")] * 3)


@pytest.mark.parametrize("kind", ["1,100 rows that share a text", "shared texts under another name", "37 MB of sheets"])
def test_it_makes_a_job_of_a_workbook_that_unpacks_to_much(attack: Attack, kind: str) -> None:
    """A job of a small workbook that takes much memory."""
    data = WORKBOOKS[kind]()
    with attack:
        code = check(attack, data, "a.xlsx")
        attack.others_pass()
        if code:
            settled(attack, code)
            attack.ask(attack.target.as_("mallory"), "GET", f"/jobs/{code}/")
            attack.ask(attack.target.as_("mallory"), "GET", f"/jobs/{code}/items/?state=all")
            attack.ask(attack.target.as_("mallory"), "POST", f"/jobs/{code}/delete/")


def fat(columns: str, rows: int) -> bytes:
    """JSON rows of a little under 3 MB each, in gzip; the columns come first."""
    filling = json.dumps({at: inputs.sparse(900_000, seed) for seed, at in enumerate("xyz")})
    return inputs.packed("{" + columns + ", " + filling[1:] + "\n", rows, 6)


def test_it_compares_corrections_of_long_rows(attack: Attack) -> None:
    """Corrections of a kilobyte for rows of 3 MB."""
    rows, target = 80, attack.target
    made = target.made("mallory", fat('"name": "a", "simulate": "fail:ValueError"', rows), "a.jsonl.gz")
    if not (code := code_of(made)):
        pytest.skip(f"Such rows are refused: {made.status_code} {made.text[:200]}")
    settled(attack, code)
    sent = "row,name\n" + "".join(f"{row},b\n" for row in range(1, rows + 1))
    mallory = target.as_("mallory")
    with attack:
        shown = [partial(attack.ask, mallory, "POST", f"/jobs/{code}/corrections/", files={"file": ("c.csv", sent)})]
        answers = attack.together(shown * 3)
        keys = [str(answer.url.params.get("file", "")) for answer in answers if answer is not None]
        if any(keys):
            attack.ask(mallory, "POST", f"/jobs/{code}/correct/", data={"file": max(keys)})
        attack.others_pass()
    target.post(mallory, f"/jobs/{code}/delete/", {})


def test_it_shows_and_exports_long_rows(attack: Attack) -> None:
    """Pages, searches and downloads of rows of 3 MB, some hung up half-way."""
    target = attack.target
    made = target.made("mallory", fat('"name": "a"', 60), "a.jsonl.gz", param_seconds=0.001)
    if not (code := code_of(made)):
        pytest.skip(f"Such rows are refused: {made.status_code} {made.text[:200]}")
    settled(attack, code)
    mallory = target.as_("mallory")
    places = ["", "items/?state=all", "items/1/", "items/2/edit/", "items/?q=zzz", "?again=1", "setup/", "activity/"]
    with attack:
        calls = [partial(attack.ask, mallory, "GET", f"/jobs/{code}/{place}") for place in places]
        attack.together(calls * 2, 16)
        for kind in ("csv", "jsonl", "json", "xlsx"):
            for _ in range(5):
                hang_up(attack, mallory, f"/jobs/{code}/results.{kind}")
        attack.others_pass()
    target.post(mallory, f"/jobs/{code}/delete/", {})


def hang_up(attack: Attack, client: httpx.Client, path: str) -> None:
    """Asks for something, reads a little of it, and is gone."""
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    line = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{attack.target.port}\r\nCookie: {cookie}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", attack.target.port), timeout=60) as connection:
        connection.sendall(line.encode())
        connection.recv(2_000)
    attack.row.requests += 1


GZIPS: dict[str, Callable[[], bytes]] = {
    "one line without end": lambda: bomb(b"a,b\n1,", b"x", 400),
    "many rows": lambda: bomb(b"a,b\n", b"1,2\n", 400),
    "a JSON array without end": lambda: bomb(b'[{"a": "', b"x", 400),
    "brackets": lambda: bomb(b"[", b"[", 400),
    "a quote without end": lambda: bomb(b'a,b\n1,"', b"x\n", 400),
    "gzip in gzip": lambda: inputs.packed(bomb(b"a", b"b", 400)),
}


@pytest.mark.parametrize("kind", first_fast(GZIPS))
def test_it_looks_into_gzip_that_unpacks_to_much(attack: Attack, kind: str) -> None:
    """Previews of gzip that unpacks to 400 MB."""
    data = GZIPS[kind]()
    with attack:
        attack.together([partial(preview, attack, data[: 256 * 1024], "a.csv.gz")] * 3)
        attack.together([partial(preview_stored, attack, data, "a.csv.gz")] * 3)


# Temporary files


def test_it_keeps_nothing_of_large_heads(attack: Attack) -> None:
    """Previews of which the first part has 20 MB, some hung up half-way."""
    data = b"a,b\n" + b"1,some words\n" * (20 * MB // 13)
    with attack:
        attack.together([partial(preview, attack, data, "a.csv")] * 20, 10)
        attack.together([partial(drop, attack, "/jobs/preview/", "head", data)] * 20, 10)
        attack.together([partial(drop, attack, "/jobs/uploads/", "file", data)] * 20, 10)


def test_it_keeps_nothing_of_workbooks_it_looked_into(attack: Attack) -> None:
    """Previews of gzip around a workbook, which must be unpacked as a whole."""
    made = inputs.shared_text(10, "a") | {"xl/media/film.bin": inputs.sparse(60 * MB)}
    data = inputs.packed(zipped(made, zipfile.ZIP_STORED))
    with attack:
        attack.together([partial(preview_stored, attack, data, "a.xlsx.gz")] * 10, 5)


def drop(attack: Attack, path: str, field: str, data: bytes) -> None:
    """Sends half of a form, and is gone."""
    client, edge = attack.target.as_("mallory"), "edge"
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    body = f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="a.csv"\r\n\r\n'.encode() + data
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{attack.target.port}\r\nCookie: {cookie}\r\n"
        f"X-CSRFToken: {client.cookies['csrftoken']}\r\nReferer: {attack.target.url}/\r\n"
        f"Content-Type: multipart/form-data; boundary={edge}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", attack.target.port), timeout=60) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
    attack.row.requests += 1
    attack.row.sent += len(body) // 2
