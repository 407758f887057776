"""The public address and the path before all others: what they set, and that every address keeps to them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import SimpleTestCase, override_settings

from batchweb import asgi, urls
from batchweb.forwarded import Proxies
from batchweb.public import OWN, Mounted, Public, prefix_of, public_of
from tests.batchweb.test_settings import NEEDED, manage
from tests.system import ROOT
from tests.views.routes import routes, sockets

# What of the settings follows from PUBLIC_URL, and how addresses look where no request is.
SHOWN = """
import json
from threading import Thread
from django.conf import settings as s
from django.contrib import admin
from django.urls import reverse
found = [s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS, s.HTTPS, s.PROXIES.count, s.SESSION_COOKIE_NAME]
thread = Thread(target=lambda: found.extend([reverse("enter"), s.STATIC_URL, str(admin.site.site_url)]))
thread.start()
thread.join()
print(json.dumps(found))
"""


def shown(**variables: str) -> list[Any]:
    done = manage("shell", "-v", "0", "-c", SHOWN, **variables)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Public()),
        ("https://batch.example.com", Public("https://batch.example.com", "batch.example.com", "")),
        ("https://Batch.example.com:443/", Public("https://batch.example.com", "batch.example.com", "")),
        ("http://10.0.0.7:8080/a/b/", Public("http://10.0.0.7:8080", "10.0.0.7", "/a/b")),
        ("https://[2001:db8::1]:8443/batch", Public("https://[2001:db8::1]:8443", "[2001:db8::1]", "/batch")),
    ],
)
def test_it_reads_a_public_address(text: str, expected: Public) -> None:
    assert public_of(text) == expected


@pytest.mark.parametrize(
    "text",
    ["batch.example.com", "ftp://a", "https://", "https://a/b?c", "https://a/#b", "https://me@a/", "https://a:x/"],
)
def test_it_refuses_what_is_no_public_address(text: str) -> None:
    with pytest.raises(ValueError):
        public_of(text)


@pytest.mark.parametrize("text", ["", "/", " / "])
def test_it_takes_the_root_for_no_prefix(text: str) -> None:
    assert prefix_of(text) == ""


@pytest.mark.parametrize("text", ["batch", "/batch", "/batch/", "batch/"])
def test_it_reads_a_prefix_however_its_slashes_stand(text: str) -> None:
    assert prefix_of(text) == "/batch"


@pytest.mark.parametrize(
    "text", ["/a b", "/a//b", "/../a", "/a/.", "/%41", "/<a>", "/ä", "/a;b", *map("/{}".format, OWN)]
)
def test_it_refuses_a_prefix_that_is_no_plain_path_or_one_of_its_own(text: str) -> None:
    with pytest.raises(ValueError):
        prefix_of(text)


def test_it_knows_the_beginnings_of_all_its_own_paths() -> None:
    found = {path.split("/")[1] for path in [*routes(), *sockets(), "/healthz", "/static/"]}
    assert found - {""} == OWN


def test_it_stops_with_a_sentence_where_an_address_cannot_be_read() -> None:
    for name, value in (("PUBLIC_URL", "batch.example.com"), ("PATH_PREFIX", "/jobs")):
        done = manage("check", **{name: value})
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith(f"{name}: ")


def test_it_takes_everything_from_the_public_address() -> None:
    found = shown(**{**NEEDED, "ALLOWED_HOSTS": "", "PUBLIC_URL": "https://batch.example.com/a/b"})
    assert found == [
        ["batch.example.com"], ["https://batch.example.com"], True, 1, "__Host-batchweb_session.a.b",
        "/a/b/enter/", "/a/b/static/", "/a/b/",
    ]  # fmt: skip


def test_it_stands_under_a_path_without_a_public_address() -> None:
    found = shown(PATH_PREFIX="batch/")
    assert found[2:] == [False, 0, "batchweb_session.batch", "/batch/enter/", "/batch/static/", "/batch/"]


def test_it_changes_nothing_where_neither_is_set() -> None:
    hosts = ["localhost", "127.0.0.1", "[::1]"]
    assert shown() == [hosts, [], False, 0, "batchweb_session", "/enter/", "/static/", "/"]


async def mounted(path: str, kind: str = "http") -> tuple[str, bytes]:
    """What an application under /batch is told of the path."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope)

    await Mounted(app, "/batch")({"type": kind, "path": path, "raw_path": path.encode()}, None, None)
    return told[0]["path"], told[0]["raw_path"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/batch/"),
        ("/batch", "/batch"),
        ("/batch/", "/batch/"),
        ("/batch/jobs/1/", "/batch/jobs/1/"),
        ("/jobs/1/", "/batch/jobs/1/"),
        ("/batches", "/batch/batches"),
    ],
)
async def test_it_gives_a_path_back_what_a_proxy_took(kind: str, path: str, expected: str) -> None:
    assert await mounted(path, kind) == (expected, expected.encode())


def test_it_makes_every_path_whole_before_anything_looks_at_it() -> None:
    assert isinstance(asgi.application, Mounted)


def test_it_puts_all_pages_behind_the_one_prefix() -> None:
    assert len(urls.urlpatterns) == 1


@pytest.mark.parametrize("template", sorted(ROOT.glob("templates/**/*.html")), ids=lambda path: path.name)
def test_it_writes_no_address_from_the_root(template: Any) -> None:
    rooted = r"""(?:href|src|action|hx-\w+|data-(?!shortcut)[\w-]+)=["']/[^"']*|url\(/"""
    assert re.findall(rooted, template.read_text()) == []


@pytest.mark.parametrize("script", sorted(ROOT.glob("jobs/static/jobs/js/*.js")), ids=lambda path: path.name)
def test_it_leaves_addresses_to_the_pages(script: Any) -> None:
    assert re.findall(r"""["'`]/(?:jobs|accounts|admin|ws|static|enter)\b""", script.read_text()) == []


class CheckTests(SimpleTestCase):
    def contradictions(self, **more: Any) -> list[str]:
        told = {
            "PUBLIC": public_of("https://batch.example.com/batch"), "PATH_PREFIX": "/batch", "HTTPS": True,
            "ALLOWED_HOSTS": [".example.com"], "PROXIES": Proxies(1, []),
        }  # fmt: skip
        with override_settings(**(told | more)):
            return [str(found.msg) for found in run_checks() if found.id == "jobs.E021"]

    def test_it_has_nothing_to_say_where_all_settings_agree(self) -> None:
        assert self.contradictions() == []
        assert self.contradictions(PUBLIC=Public(), PATH_PREFIX="", HTTPS=False) == []

    def test_it_tells_of_each_contradiction(self) -> None:
        said = "PUBLIC_URL says https://batch.example.com/batch, but "
        assert self.contradictions(PATH_PREFIX="/other") == [f"{said}PATH_PREFIX is /other."]
        assert self.contradictions(ALLOWED_HOSTS=["a"]) == [f"{said}ALLOWED_HOSTS does not have batch.example.com."]
        assert self.contradictions(HTTPS=False) == [f"{said}HTTPS is 0."]
        assert self.contradictions(PROXIES=Proxies(0, []))[0].startswith(f"{said}BEHIND_PROXY is 0")
