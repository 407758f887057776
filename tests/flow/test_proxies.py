"""Behind the documented nginx, on a host of its own and under a path: everything leads to where people are."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from django.conf import settings
from websockets.exceptions import InvalidStatus

from batchweb.body_limits import ENVELOPE
from tests.proxied import Proxied, proxied
from tests.services import ROOT, Missing, skip_or_fail
from tests.system import csv_of, until

pytestmark = pytest.mark.flow
ROWS = 200
ADDRESSES = re.compile(r'(?:href|src|action|data-src|data-socket|data-snapshot|data-items|data-sprite)="([^"]+)"')


@pytest.fixture(scope="module", params=["", "/tools/batch"], ids=["host", "path"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    try:
        with proxied(tmp_path_factory.mktemp("proxied"), request.param) as found:
            yield found
    except Missing as error:
        skip_or_fail(error)


def submitted(site: Proxied, client: httpx.Client, rows: int = ROWS, seconds: str = "0.002") -> str:
    """The code of a job whose file was sent through the proxy."""
    form = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "param_seconds": seconds}
    made = site.post(client, "jobs/new/", form, {"file": ("rows.csv", csv_of(rows).encode(), "text/csv")})
    assert made.status_code == 200, made.text
    url: str = made.json()["url"]
    assert url.startswith(f"{site.prefix}/jobs/")
    return url.removeprefix(site.prefix).split("/")[2]


def ended(client: httpx.Client, code: str) -> dict[str, Any]:
    def last() -> dict[str, Any] | None:
        frame: dict[str, Any] = client.get(f"jobs/{code}/snapshot.json").raise_for_status().json()
        return frame if frame["state"] == "finished" else None

    return dict(until(last, 60, "the job has ended"))


def test_it_prints_links_that_people_can_open(site: Proxied, tmp_path: Path) -> None:
    assert site.system.link.startswith(f"{site.url}/enter/?sesame=")
    (tmp_path / "rows.csv").write_text(csv_of(3))
    made = site.system.manage("submit", str(tmp_path / "rows.csv"), "--processor", "simulate")
    assert made.stdout.startswith(f"{site.url}/jobs/"), made.stdout + made.stderr
    with site.client() as client:
        assert client.get(made.stdout.strip()).status_code == 200


@pytest.mark.parametrize("server", ["", "stripped"])
def test_it_goes_from_upload_to_result(site: Proxied, server: str) -> None:
    with site.client(server) as client:
        code = submitted(site, client)
        assert ended(client, code)["counts"]["succeeded"] == ROWS
        rows = csv.DictReader(io.StringIO(client.get(f"jobs/{code}/results.csv").text, newline=""))
        assert [row["name"] for row in rows] == [f"item {at}" for at in range(ROWS)]


@pytest.mark.parametrize("server", ["", "stripped"])
def test_it_tells_pages_live(site: Proxied, server: str) -> None:
    with site.client(server) as client:
        code = submitted(site, client, 20, "0.1")
        with site.socket(f"/ws/jobs/{code}/", server) as line:
            line.send(json.dumps({"t": "hello", "after": 0}))
            sent = iter(lambda: line.recv(30), None)
            frames = (json.loads(message) for message in sent if isinstance(message, str))
            assert next(frame["counts"] for frame in frames if frame.get("state") == "finished")["succeeded"] == 20


PATHS = ("", "jobs/new/", "accounts/sessions/", "accounts/second-factor/", "admin/", "nothing/")


@pytest.mark.parametrize("path", PATHS)
def test_it_leads_nowhere_else(site: Proxied, path: str) -> None:
    with site.client() as client:
        page = client.get(path)
        found = {urlsplit(urljoin(str(page.url), address)).path for address in ADDRESSES.findall(page.text)}
        assert found
        assert [address for address in found if not address.startswith(f"{site.prefix}/")] == []
        files = [address for address in found if "/static/" in address]
        assert files
        assert {client.get(urljoin(site.url, address)).status_code for address in files} == {200}


def test_it_sends_strangers_to_the_form_and_back(site: Proxied) -> None:
    with site.stranger() as stranger:
        sent = stranger.get("jobs/new/", follow_redirects=False)
        assert sent.headers["Location"] == f"{site.prefix}/accounts/login/?next={site.prefix}/jobs/new/"
        admin = stranger.get("admin/", follow_redirects=True)
        assert admin.url.path == f"{site.prefix}/accounts/login/"


def test_it_finds_its_root_without_the_slash(site: Proxied) -> None:
    with site.client() as client:
        assert client.get(site.url).url.path == f"{site.prefix}/"


def test_it_sets_cookies_that_browsers_take_with_their_names(site: Proxied) -> None:
    with site.stranger() as stranger:
        stranger.get("accounts/login/")
        names = {cookie.name: (cookie.path, cookie.secure) for cookie in stranger.cookies.jar}
    assert names == {"__Host-csrftoken" + site.prefix.replace("/", "."): ("/", True)}


def test_it_answers_monitors_with_the_path_and_without(site: Proxied) -> None:
    for base in {f"http://127.0.0.1:{site.system.port}{prefix}" for prefix in ("", site.prefix)}:
        assert httpx.get(f"{base}/healthz").text == "ok"
        assert httpx.get(f"{base}/readyz").json().keys() == {"ready", "parts"}


def test_it_mails_links_that_people_can_open(site: Proxied) -> None:
    code = "from django.contrib.auth.models import User as U; U.objects.create_user('mia', 'mia@example.com', 'x' * 12)"
    assert site.system.manage("shell", "-c", code).returncode == 0
    with site.stranger("rewriting") as stranger:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', stranger.get("accounts/password_reset/").text)
        assert token
        # As a program: a browser's Origin would be another one than the proxy in front says.
        form = {"email": "mia@example.com", "csrfmiddlewaretoken": token[1]}
        stranger.post("accounts/password_reset/", data=form, headers={"Referer": f"{site.url}/"})
    link = until(lambda: re.search(r"https?://\S+/accounts/reset/\S+", site.system.log()), 30, "a mail is printed")
    assert link[0].startswith(f"{site.url}/accounts/reset/")


def test_it_tells_which_setting_it_is_where_a_proxy_rewrites_the_host(site: Proxied) -> None:
    with site.client("rewriting") as client:
        answer = site.post(client, "jobs/new/", {})
    port = urlsplit(site.others["rewriting"]).port
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(
        f"CSRF_TRUSTED_ORIGINS: the browser says https://localhost:{port}, "
        f"batchweb expects https://127.0.0.1:{site.system.port}. Have the proxy in front pass the Host on"
    )
    line = "batchweb.addressing: CSRF_TRUSTED_ORIGINS: the browser says https://localhost"
    until(lambda: line in site.system.log(), 30, "the log says it too")


def test_it_speaks_http_2(site: Proxied) -> None:
    wanting = ssl.create_default_context()
    wanting.check_hostname, wanting.verify_mode = False, ssl.CERT_NONE
    wanting.set_alpn_protocols(["h2", "http/1.1"])
    place = urlsplit(site.url)
    with socket.create_connection(("127.0.0.1", place.port or 0)) as line, wanting.wrap_socket(line) as wrapped:
        assert wrapped.selected_alpn_protocol() == "h2"


def test_it_goes_on_without_sockets(site: Proxied) -> None:
    with site.client("silent") as client:
        code = submitted(site, client, 20, "0.1")
        with pytest.raises(InvalidStatus), site.socket(f"/ws/jobs/{code}/", "silent"):
            pass
        assert ended(client, code)["counts"]["succeeded"] == 20


def test_it_keeps_idle_sockets_open(site: Proxied) -> None:
    """The proxy here gives up after 12 s without a word; four beats are about 20 s."""
    with site.client() as client:
        code = submitted(site, client, 1)
        seq = ended(client, code)["seq"]
    with site.socket(f"/ws/jobs/{code}/") as line:
        line.send(json.dumps({"t": "hello", "after": seq}))
        for _ in range(5):
            line.recv(30)


def test_it_is_documented_with_room_for_the_largest_file() -> None:
    text = (ROOT / "docs" / "proxies.md").read_text()
    nginx, apache = re.search(r"client_max_body_size (\d+)m;", text), re.search(r"LimitRequestBody (\d+)", text)
    assert nginx
    assert apache
    assert int(nginx[1]) * 1024**2 == int(apache[1]) > settings.JOBS_MAX_UPLOAD_BYTES + ENVELOPE
