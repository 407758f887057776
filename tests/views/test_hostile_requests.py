"""Whatever stands in an address, a form, a cookie or a header: it is answered, and never by an error of the server."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from batchweb.asgi import django as application
from jobs.models import Job
from tests.base import csv_of, undone, worked
from tests.views.routes import asked_names, filled, routes

pytestmark = pytest.mark.django_db
# As bytes of an address.
VALUES = {
    "nul": b"\0", "nul inside": b"a\0b", "beyond 64 bits": b"9" * 20, "beyond a number": b"9" * 30,
    "more digits than Python reads": b"9" * 5000, "least": b"-9223372036854775809", "other digits": "²٣".encode(),
    "no UTF-8": b"\xff\xfe", "half a surrogate pair": b"\xed\xa0\x80", "cut": b"\xf0\x9f", "long": b"a" * 60_000,
    "lines": b"a\r\nSet-Cookie: x=y", "way up": b"../../etc/passwd", "pattern": b"%_\\" * 300, "infinite": b"1e999",
    "rows": b"1-" + b"9" * 30, "mark": b"7~" + b"9" * 38, "empty": b"", "json": b"[" * 5000, "row": b"#" + b"9" * 12,
    "comma": b"1," * 5000, "date": b"0000-99-99", "list": b"1,\0,9" * 9, "template": b"{{ 7 }}{% x %}",
}  # fmt: skip
QUOTED = {name: quote_from_bytes(value) for name, value in VALUES.items()}
NAMES = asked_names()


@pytest.fixture
def sam(db: None) -> User:
    return User.objects.create_superuser("sam")


@pytest.fixture
def job(sam: User) -> Job:
    return worked(sam, csv_of(3, lambda at: "fail:Broken" if at else "ok"))


@pytest.fixture
def page(sam: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(sam)
    return client


def got(page: Client, path: str) -> Any:
    """The answer; what PostgreSQL refused on the way has no part in the next ones."""
    with undone():
        return page.get(path)


def wrong(answer: Any, *about: object) -> list[object]:
    return [*about, answer.status_code] if answer.status_code >= 500 else []


def real(route: str, job: Job) -> str:
    """An address that leads to something."""
    keys = {"object_id": str(job.pk), "content_type_id": "1"}
    return filled(route, code=job.code, row="2", format="csv", verb="pause", app_label="jobs", url="x", **keys)


@pytest.mark.parametrize("name", VALUES)
def test_it_answers_any_path(name: str, page: Client) -> None:
    value = QUOTED[name]
    found = [wrong(got(page, filled(route, other=value)), route) for route in routes() if "<" in route]
    assert not list(filter(None, found))


@pytest.mark.parametrize("name", VALUES)
def test_it_answers_any_question(name: str, page: Client, job: Job) -> None:
    value, dice = QUOTED[name], random.Random(name)
    found = []
    for route in routes():
        for names in (NAMES, dice.sample(NAMES, 2)):
            query = "&".join(f"{one}={value}" for one in names if len(value) < 10_000 or one in names[:9])
            found.append(wrong(got(page, f"{real(route, job)}?{query}"), route, names))
    assert not list(filter(None, found))


@pytest.mark.parametrize("asked", NAMES)
def test_it_answers_any_value_of_a_name(asked: str, page: Client, job: Job) -> None:
    dice = random.Random(asked)
    paths = ("/", "/jobs/new/", f"/jobs/{job.code}/", f"/jobs/{job.code}/results.csv", "/admin/jobs/item/",
             "/admin/jobs/job/", f"/jobs/{job.code}/retry/", f"/jobs/{job.code}/activity/")  # fmt: skip
    found = []
    for name, value in QUOTED.items():
        for path in dice.sample(paths, 2):
            more = f"&job={job.code}" if path == "/admin/jobs/item/" and asked != "job" else ""
            found.append(wrong(got(page, f"{path}?{asked}={value}{more}"), path, name))
    assert not list(filter(None, found))


def test_it_answers_a_search_of_any_length_in_any_list(page: Client, job: Job) -> None:
    value = VALUES["long"].decode()
    found = [wrong(got(page, f"{real(route, job)}?q={value}"), route) for route in routes()]
    assert not list(filter(None, found))


@pytest.mark.parametrize("name", VALUES)
def test_it_answers_any_form(name: str, page: Client, job: Job) -> None:
    dice = random.Random(name)
    value = QUOTED[name]
    found = []
    for route in routes():
        for names in (NAMES, dice.sample(NAMES, 5)):
            body = "&".join(f"{one}={value}" for one in names).encode()
            with undone():
                answer = page.post(real(route, job), body, content_type="application/x-www-form-urlencoded")
            found.append(wrong(answer, route, names))
    assert not list(filter(None, found))


@pytest.mark.parametrize("name", VALUES)
def test_it_answers_any_form_with_a_file(name: str, page: Client, job: Job) -> None:
    value = VALUES[name]
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\na,b\r\n1,2\r\n--x--\r\n'
    body = b"".join(part % (one.encode(), value) for one in NAMES if one != "file") + file % value[:9_000]
    found = []
    for route in ("/jobs/new/", "/jobs/uploads/", "/jobs/preview/", "/jobs/hints/", f"/jobs/{job.code}/corrections/"):
        for charset in ("utf-8", "utf-7"):
            with undone():
                answer = page.generic("POST", route, body, f"multipart/form-data; boundary=x; charset={charset}")
            found.append(wrong(answer, route, charset))
    assert not list(filter(None, found))


COOKIES = ("\0", "a\0b", '"\\000abcdefgh"', "x" * 8_000, "é" * 40, "\ud800", "a;b=c", "9" * 5000, "", "..", "%00")


@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("name", [settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "messages", "other"])
def test_it_answers_any_cookie(cookie: str, name: str, page: Client) -> None:
    header = f"{name}={cookie}".encode("utf-8", "surrogatepass").decode("latin-1")
    found = []
    for client in (Client(raise_request_exception=False), page):
        kept = client.cookies.output(header="", sep=";").strip() if name != settings.SESSION_COOKIE_NAME else ""
        given = "; ".join(filter(None, (kept, header)))
        client.cookies.clear()
        for path in ("/", "/accounts/login/", "/healthz", "/enter/?sesame=x"):
            found.append(wrong(client.get(path, HTTP_COOKIE=given), path))
        found.append(wrong(client.post("/accounts/login/", {"username": "a"}, HTTP_COOKIE=given), "post"))
    assert not list(filter(None, found))


HEADERS = ("Accept", "Accept-Encoding", "Accept-Language", "HX-Request", "HX-Current-URL", "Referer", "Origin",
           "If-None-Match", "If-Modified-Since", "Range", "Host", "X-Forwarded-Proto", "X-CSRFToken", "Content-Type",
           "User-Agent")  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_it_answers_any_header(name: str, page: Client, job: Job) -> None:
    value = VALUES[name][:8_000].decode("latin-1")
    found = []
    for header in HEADERS:
        for client in (page, Client(raise_request_exception=False)):
            for path in ("/", f"/jobs/{job.code}/results.csv", f"/jobs/{job.code}/items/"):
                found.append(wrong(client.get(path, headers={header: value}), header, path))
            found.append(wrong(client.post(f"/jobs/{job.code}/pause/", headers={header: value}), header, "post"))
    assert not list(filter(None, found))


async def test_it_answers_any_address_as_a_server_gives_it() -> None:
    for path in ("/\0", "/jobs/\0/", "/\udcff/", "/jobs/" + "9" * 5000 + "/", "//", "/%00/", "/\ud800", "/é\r\n/"):
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": b"/",
                 "query_string": b"q=%00&x=%ff\xff", "headers": [(b"host", b"localhost"), (b"x", b"\0")]}  # fmt: skip
        line = ApplicationCommunicator(application, scope)
        await line.send_input({"type": "http.request", "body": b""})
        answer = await line.receive_output(60)
        assert answer["status"] < 500, path
        await line.wait(60)


def test_it_says_what_is_wrong(page: Client) -> None:
    answer = page.get("/jobs/%00/")
    assert answer.status_code == 400
    assert "This request cannot be read" in answer.content.decode()
    assert page.get("/jobs/%00/", headers={"Accept": "application/json"}).json()["detail"]


@pytest.mark.parametrize("value", ["a%00", "%FF"])
def test_it_says_so_where_a_view_let_it_through(page: Client, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    def broken(*_: object) -> None:
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")

    monkeypatch.setattr("jobs.live.job_list.of", broken)
    assert page.get(f"/?q={value}").status_code == (400 if "%00" in value else 500)
