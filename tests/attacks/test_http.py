"""Requests that no browser sends, and what every answer must say."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from tests.attacks import raw
from tests.attacks.attack import TRACE, Attack
from tests.attacks.observers import RATIO
from tests.attacks.speed import first_fast
from tests.attacks.target import HERE, PASSWORD, PATIENCE, Target, code_of, target
from tests.system import csv_of

pytestmark = pytest.mark.attacks
MB = 1_000_000
LONG: Final = 4.0  # seconds of an attack before others begin anything


def headers(size: int, kind: str) -> Iterator[bytes]:
    """So many bytes of headers that do not end."""
    yield b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if kind == "one name":
        yield b"X-"
        piece = b"a" * 65_536
    elif kind == "one value":
        yield b"X-Long: "
        piece = b"a" * 65_536
    elif kind == "an address":
        piece = b""
    else:
        piece = b"".join(b"X-%05d: %s\r\n" % (at, b"v" * 50) for at in range(1_000))
    for _ in range(size // max(len(piece), 1) if piece else 0):
        yield piece


@contextmanager
def flooded(attack: Attack, request: Callable[[int], bytes], **how: Any) -> Iterator[None]:
    """Somebody sends requests and hangs up at once, as long as others do what they do."""
    over = Event()
    with attack, ThreadPoolExecutor(1) as pool:
        attacker = pool.submit(raw.flood, attack.target, request, over.is_set, **how)
        try:
            yield
        finally:
            over.set()
            attack.row.requests += attacker.result()


@pytest.mark.parametrize("path", first_fast(["/accounts/login/", "/nothing/", "/jobs/new/", "/?q=x"]))
def test_it_answers_others_while_somebody_asks_and_hangs_up(attack: Attack, path: str) -> None:
    """120 at once who ask, without being signed in, and hang up after 50 ms."""
    asked = raw.request(attack.target, "GET", path)
    with flooded(attack, lambda _: asked, at_once=120):
        time.sleep(LONG)
        attack.others_pass()


@pytest.mark.fast
def test_it_lets_people_in_while_strangers_sign_in_from_everywhere(attack: Attack) -> None:
    """Made-up sign-ins from 500 addresses, hung up after 0.3 s."""
    target = attack.target
    stranger = target.stranger()
    token = re.findall(r'csrfmiddlewaretoken" value="(\w+)"', stranger.get("/accounts/login/").text)[0]
    target.client("nora")  # whose address is known from now on
    head = (f"Cookie: {raw.cookies(stranger)}", f"Referer: {target.url}/accounts/login/",
            "Content-Type: application/x-www-form-urlencoded")  # fmt: skip

    def sign_in(at: int) -> bytes:
        body = f"csrfmiddlewaretoken={token}&username=nobody{at}&password=guess{at}".encode()
        return raw.request(target, "POST", "/accounts/login/", *head, f"Content-Length: {len(body)}", body=body)

    everywhere = [f"127.0.{net}.{host}" for net in range(10, 20) for host in range(1, 51)]
    with flooded(attack, sign_in, after=0.3, addresses=everywhere):
        time.sleep(LONG)
        begun = time.monotonic()
        target.client("nora")
        attack.row.slowest = time.monotonic() - begun
        attack.others_pass()
    assert "start new thread" not in target.log()


def client_at(target: Target, address: str) -> httpx.Client:
    """Somebody who is not signed in, at this address."""
    way = httpx.HTTPTransport(local_address=address if sys.platform == "linux" else HERE)
    client = httpx.Client(base_url=target.url, follow_redirects=True, timeout=PATIENCE, transport=way)
    target.clients.append(client)
    client.get("/accounts/login/")
    return client


def seconds_to_sign_in(target: Target, name: str, address: str) -> float:
    client = client_at(target, address)
    begun = time.monotonic()
    answer = target.post(client, "/accounts/login/", {"username": name, "password": PASSWORD})
    assert "batchweb_session" in client.cookies, answer.text[:300]
    return time.monotonic() - begun


@pytest.mark.fast
def test_it_lets_somebody_new_in_while_others_guess(attack: Attack) -> None:
    """16 at once who guess passwords from four addresses."""
    target, over = attack.target, Event()
    usual = seconds_to_sign_in(target, "eve", "127.0.40.1")
    guessers = [client_at(target, f"127.0.41.{number % 4 + 1}") for number in range(16)]

    def guess(client: httpx.Client) -> int:
        tries = 0
        while not over.is_set():
            target.post(client, "/accounts/login/", {"username": f"nobody{id(client)}{tries}", "password": "guess"})
            tries += 1
        return tries

    with attack, ThreadPoolExecutor(len(guessers)) as pool:
        tries = [pool.submit(guess, client) for client in guessers]
        try:
            time.sleep(LONG)
            taken = attack.row.slowest = seconds_to_sign_in(target, "eve", "127.0.42.1")
            attack.check(taken < RATIO * usual, f"to sign in takes {taken:.1f} s instead of {usual:.1f} s")
        finally:
            over.set()
        attack.row.requests += sum(made.result() for made in tries)


@pytest.mark.parametrize("path", first_fast(["/jobs/uploads/", "/jobs/new/", "/jobs/preview/"]))
def test_it_keeps_its_connections_to_the_database_for_others(attack: Attack, path: str) -> None:
    """60 files that stop half-way, and hang up."""
    system = attack.target
    mallory = system.as_("mallory")
    head = raw.request(
        system, "POST", path, f"Cookie: {raw.cookies(mallory)}", f"X-CSRFToken: {mallory.cookies['csrftoken']}",
        f"Referer: {system.url}/", "Content-Type: multipart/form-data; boundary=B", f"Content-Length: {30 * MB}",
    )  # fmt: skip
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"a,b\n" * (MB // 2)
    with attack, ExitStack() as stack:
        for _ in range(60):
            connection = stack.enter_context(raw.line(system))
            connection.sendall(head + body)
            attack.row.requests += 1
        attack.others_pass()
        stack.close()
        attack.others_pass()


def long_address(size: int) -> Iterator[bytes]:
    yield b"GET /?"
    for _ in range(size // 65_536):
        yield b"a" * 65_536


@pytest.mark.parametrize("kind", first_fast(["many headers", "one name", "one value", "an address"]))
def test_it_stops_headers_without_end(attack: Attack, kind: str) -> None:
    """100 MB of headers from somebody who is not signed in."""
    size = 100 * MB
    with attack:
        made = [long_address(size) if kind == "an address" else headers(size, kind) for _ in range(3)]
        taken = attack.together([partial(accepted, attack, pieces) for pieces in made])
        attack.check(max(taken) < 8 * MB, f"{max(taken):,} bytes of headers were taken")


def accepted(attack: Attack, pieces: Iterator[bytes]) -> int:
    """How many of these bytes the server takes before it closes the connection."""
    taken = 0
    with raw.line(attack.target) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                taken += len(piece)
        except OSError:
            pass
    attack.row.requests += 1
    attack.row.sent += taken
    return taken


@pytest.mark.parametrize(
    "path", first_fast(["/healthz", "/accounts/login/", "/jobs/new/", "/jobs/uploads/", "/nothing/"])
)
def test_it_stops_a_body_of_300_mb_of_a_stranger(attack: Attack, path: str) -> None:
    """A body of 300 MB from somebody who is not signed in."""
    chunk = b"%x\r\n%s\r\n" % (65_536, b"x" * 65_536)

    def pieces(chunked: bool) -> Iterator[bytes]:
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {300 * MB}"
        kind = "Content-Type: multipart/form-data; boundary=x"
        yield raw.request(attack.target, "POST", path, how, kind)
        for _ in range(300 * MB // 65_536 // 10):
            yield chunk if chunked else b"x" * 65_536

    with attack:
        attack.together([partial(accepted, attack, pieces(chunked)) for chunked in (True, False)])
        attack.check(attack.watch.highest < 4 * MB, f"{attack.watch.highest:,} bytes of it were stored meanwhile")


@pytest.mark.fast
def test_it_keeps_room_beside_idle_connections(attack: Attack) -> None:
    """600 connections that say nothing, or a word every now and then."""
    with attack, ExitStack() as stack:
        for at in range(600):
            connection = stack.enter_context(raw.line(attack.target))
            if at % 2:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            attack.row.requests += 1
        time.sleep(2)


def test_it_closes_idle_connections(prey: Target) -> None:
    """Connections that say nothing, or half a request, are closed in a while."""
    starts = [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: a"]
    with ExitStack() as stack:
        held = [(start, stack.enter_context(raw.line(prey))) for start in starts for _ in range(5)]
        for start, connection in held:
            connection.sendall(start)
        deadline = time.monotonic() + 120
        left = [start for start, one in held if not raw.closed(one, max(1.0, deadline - time.monotonic()))]
    assert not left, f"{len(left)} of {len(held)} connections are still open after two minutes: {sorted(set(left))}"


# What must be two requests to everybody, or none

SMUGGLED = (
    "Content-Length: 6\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 6",
    "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length: +6",
    "Content-Length: 6, 6",
    "Content-Length: 0x6",
    "Content-Length: -1",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "X: a\nTransfer-Encoding: chunked",
    " Transfer-Encoding: chunked",
)


@pytest.mark.fast
@pytest.mark.parametrize("how", SMUGGLED)
def test_it_answers_no_smuggled_request(prey: Target, how: str) -> None:
    inner = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = f"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1:{prey.port}\r\n{how}\r\n\r\n".encode("latin-1")
    with raw.line(prey) as connection:
        connection.sendall(head + b"0\r\n\r\n" + inner)
        connection.shutdown(socket.SHUT_WR)
        said = raw.answer(connection)
    assert b'"ready"' not in said, said[:300]
    assert b" 500 " not in said.split(b"\r\n", 1)[0]


VERBS: Final = ("rename", "share", "give", "adjust", "retry", "accept", "try", "start", "pause", "resume", "cancel",
                "correct", "corrections", "items/1/edit", "change")  # fmt: skip
FORMS: Final = ("/jobs/new/", "/jobs/uploads/", "/jobs/sample/", "/jobs/preview/", "/jobs/hints/",
                "/accounts/password_change/", "/accounts/password_reset/")  # fmt: skip
FIELDS: Final = ("name", "person", "may", "workers", "attempts", "timeout", "rate", "rows", "cause", "processor",
                 "upload", "mapping", "key", "label", "state", "undo", "file", "param_seconds",
                 "old_password", "email")  # fmt: skip

# What is odd in an address, a cookie, a field

ODD = ("\0", "%00", "%ff", "%ed%a0%80", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "9" * 400, "-1",
       "1e9", "../../../etc/passwd", "%2e%2e%2f", "%0d%0aSet-Cookie:%20a=b", "\u202e", "{{7*7}}", "' OR 1=1 --",
       "9223372036854775808", "nan", "٣", "²")  # fmt: skip
PLACES = (
    "/?q={}", "/?state={}&page={}", "/jobs/{}/", "/jobs/new/?again={}", "/jobs/processor/?processor={}&column={}",
    "/jobs/CODE/items/?q={}", "/jobs/CODE/items/?state={}&cause={}&after={}&before={}&sort={}&row={}&seconds={}",
    "/jobs/CODE/items/{}/", "/jobs/CODE/results.{}", "/jobs/CODE/results.csv?state={}&cause={}&rows={}&accepted={}",
    "/jobs/CODE/failed.csv?rows={}", "/jobs/CODE/causes/?page={}", "/jobs/CODE/activity/?before={}&after={}&page={}",
    "/jobs/CODE/corrections/?file={}", "/jobs/CODE/corrections/{}/", "/jobs/CODE/retry/?rows={}&cause={}",
    "/jobs/CODE/series.json?after={}", "/jobs/CODE/cells.bin?from={}&to={}", "/jobs/uploads/{}/",
    "/jobs/CODE/share/{}/remove/", "/enter/?sesame={}", "/accounts/login/?next={}", "/accounts/reset/{}/{}/",
    "/admin/jobs/job/{}/change/", "/admin/jobs/item/?job={}", "/admin/jobs/item/{}/change/", "/admin/auth/user/{}/",
    "/admin/jobs/job/?q={}&p={}&o={}&e={}", "/admin/jobs/cause/{}/change/", "/admin/{}/", "/static/{}", "/{}",
    "/ws/jobs/{}/", "/admin/jobs/worker/{}/change/", "/admin/jobs/activity/?q={}", "/admin/r/{}/{}/",
)  # fmt: skip


def ask_oddly(prey: Target, method: str, who: str, path: str, *more: str, body: bytes = b"") -> str:
    """The path and status where the answer is an accident."""
    cookie = raw.cookies(prey.as_(who))
    said = raw.sent(prey, raw.request(prey, method, path, f"Cookie: {cookie}", *more, body=body))
    accident = raw.status(said) in (0, 500) or TRACE.encode() in said
    return f"{method} {path[:80]!r}: {raw.status(said)}" if accident else ""


@pytest.mark.parametrize("who", first_fast(["mallory", "staffan"]))
def test_it_answers_odd_addresses_with_a_sentence(prey: Target, who: str) -> None:
    code = prey.job("mallory", csv_of(3))
    places = [place.replace("CODE", code) for place in PLACES]
    paths = [place.replace("{}", quote(odd, safe="%/.;:=&{}'")) for place in places for odd in ODD]
    wrong = [said for path in paths if (said := ask_oddly(prey, "GET", who, path))]
    assert not wrong, f"{len(wrong)} of {len(paths)}: {wrong[:12]}"


@pytest.mark.fast
def test_it_answers_odd_cookies_with_a_sentence(prey: Target) -> None:
    names = ("batchweb_session", "__Host-batchweb_session", "sessionid", "csrftoken", "__Host-csrftoken", "messages")
    odd = ("a\0b", "\\000", '"\\000"', "%00", "\xff\xfe", "a" * 7_000, '"', "=;=;", "e30:x:y", "\\ud800")
    wrong = []
    for name in names:
        for value in odd:
            for path in ("/", "/accounts/login/", "/healthz", "/jobs/list.json"):
                said = raw.sent(prey, raw.request(prey, "GET", path, f"Cookie: {name}={value}"))
                if raw.status(said) in (0, 500) or TRACE.encode() in said:
                    wrong.append(f"{path} with {name}={value[:20]!r}: {raw.status(said)}")
    assert not wrong, f"{len(wrong)}: {wrong[:12]}"


@pytest.mark.fast
def test_it_answers_odd_fields_with_a_sentence(prey: Target) -> None:
    code = prey.job("mallory", csv_of(3))
    paths = [f"/jobs/{code}/{verb}/" for verb in VERBS] + [*FORMS]
    wrong = []
    for odd in ("\0", "a\0b", "9" * 400, "-1", "nan", "²", "\u202e", "x" * 100_000):
        fields = dict.fromkeys(FIELDS, odd)
        for path in paths:
            answer = prey.post(prey.as_("mallory"), path, fields)
            if answer.status_code == 500 or TRACE in answer.text:
                wrong.append(f"{path} with {odd[:10]!r}: {answer.status_code}")
    assert not wrong, f"{len(wrong)}: {wrong[:12]}"


@pytest.mark.fast
def test_it_answers_a_form_that_is_sent_again_after_its_job_was_deleted(prey: Target) -> None:
    mallory = prey.as_("mallory")
    page = mallory.get("/jobs/new/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    key = prey.post(mallory, "/jobs/uploads/", {}, {"file": ("a.csv", csv_of(3).encode())}).json()["upload"]
    fields = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "upload": str(key),
              "csrfmiddlewaretoken": token[1]}  # fmt: skip
    first = prey.post(mallory, "/jobs/new/", fields)
    code = code_of(first)
    assert code, first.text[:300]
    prey.ended(mallory, code)
    assert prey.post(mallory, f"/jobs/{code}/delete/", {}).status_code == 302
    again = prey.post(mallory, "/jobs/new/", fields)
    assert again.status_code in (200, 302, 410, 422), again.status_code
    if (new := code_of(again)) and again.status_code in (200, 302):
        page_of_it = mallory.get(f"/jobs/{new}/")
        assert page_of_it.status_code in (200, 410), "The form leads to a page that is not there."


# Origins, forwarded headers, forged requests


def test_it_believes_no_forwarded_scheme_or_address(alone: ExitStack, tmp_path: Path) -> None:
    """Without a proxy nobody may say that the request came by HTTPS."""
    system = alone.enter_context(target(tmp_path, HTTPS="1", WEB_PROCESSES="1"))
    for name, value in (("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on"),
                        ("X-Forwarded-Protocol", "https"), ("Forwarded", "proto=https"),
                        ("Front-End-Https", "on")):  # fmt: skip
        said = raw.sent(system, raw.request(system, "GET", "/accounts/login/", f"{name}: {value}"))
        assert raw.status(said) == 301, f"{name}: {value} was believed: {said[:80]!r}"


@pytest.mark.parametrize(
    "origin",
    first_fast(["http://127.0.0.1:1", "https://127.0.0.1:PORT", "http://127.0.0.1", "null", "http://evil.example",
     "http://127.0.0.1:PORT.evil.example", "http://127.0.0.1.:PORT"]),
)  # fmt: skip
def test_it_takes_forms_from_its_own_pages_only(prey: Target, origin: str) -> None:
    mallory = prey.as_("mallory")
    code = prey.job("mallory", csv_of(3))
    headers = {"Origin": origin.replace("PORT", str(prey.port)), "X-CSRFToken": mallory.cookies["csrftoken"]}
    answer = mallory.post(f"/jobs/{code}/rename/", data={"name": "Forged"}, headers=headers, follow_redirects=False)
    assert answer.status_code == 403
    assert "Forged" not in mallory.get(f"/jobs/{code}/").text


@pytest.mark.fast
def test_it_does_nothing_without_the_token_of_a_form(prey: Target) -> None:
    mallory = prey.again(prey.as_("mallory"))
    code = prey.job("mallory", csv_of(3))
    before = mallory.get(f"/jobs/{code}/snapshot.json").json()["seq"]
    for place in (*(f"/jobs/{code}/{verb}/" for verb in (*VERBS, "delete")), *FORMS, "/accounts/logout/"):
        for headers in ({}, {"X-CSRFToken": "a" * 64}, {"Origin": "http://evil.example"}):
            answer = mallory.post(place, data={"name": "Forged"}, headers=headers, follow_redirects=False)
            assert answer.status_code == 403, (place, answer.status_code)
    assert mallory.get(f"/jobs/{code}/snapshot.json").json()["seq"] >= before
    assert mallory.get(f"/jobs/{code}/").status_code == 200


# What every answer says


@pytest.mark.fast
def test_it_lets_nobody_keep_private_pages(prey: Target) -> None:
    mallory = prey.as_("mallory")
    code = prey.job("mallory", csv_of(3))
    prey.ended(mallory, code)
    of_a_job = ("", "snapshot.json", "items/", "items/1/", "results.csv", "results.xlsx", "failed.csv", "activity/",
                "causes/", "series.json", "cells.bin", "setup/")  # fmt: skip
    paths = [f"/jobs/{code}/{place}" for place in of_a_job]
    for path in ("/", "/jobs/new/", "/jobs/list.json", "/accounts/password_change/", *paths):
        answer = mallory.get(path)
        kept = answer.headers.get("Cache-Control", "")
        # A download may be kept by the browser alone, which asks each time whether this person may still have it.
        assert "no-store" in kept or ("ETag" in answer.headers and kept == "private, no-cache"), (path, kept)


@pytest.mark.fast
def test_it_clears_what_a_browser_keeps_at_sign_out(prey: Target) -> None:
    client = prey.client("eve")
    answer = prey.post(client, "/accounts/logout/", {})
    assert '"cache"' in answer.headers.get("Clear-Site-Data", ""), dict(answer.headers)
    assert prey.stranger().get("/jobs/list.json", headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.fast
def test_it_tells_browsers_to_be_strict(prey: Target) -> None:
    for client in (prey.as_("mallory"), prey.stranger()):
        for path in ("/", "/accounts/login/", "/jobs/nosuchjob/", "/admin/"):
            said = client.get(path).headers
            policy = said["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert said["X-Content-Type-Options"] == "nosniff"
            assert said["X-Frame-Options"] == "DENY"
            assert said["Referrer-Policy"] == "same-origin"
            assert "Server" not in said


def test_it_gives_cookies_to_no_script_and_no_other_site(alone: ExitStack, tmp_path: Path) -> None:
    """Cookies under HTTPS, behind a proxy."""
    system = alone.enter_context(target(tmp_path, HTTPS="1", BEHIND_PROXY="1", WEB_PROCESSES="1"))
    client = httpx.Client(base_url=system.url, headers={"X-Forwarded-Proto": "https"})
    with client:
        page = client.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        first = page.headers.get_list("Set-Cookie")
        sent = {"username": "mallory", "password": "tea-and-biscuits", "csrfmiddlewaretoken": token[1]}
        plain = "; ".join(cookie.split(";")[0] for cookie in first)
        origin = {"Cookie": plain, "Referer": f"https://127.0.0.1:{system.port}/accounts/login/"}
        answer = client.post("/accounts/login/", data=sent, headers=origin)
    cookies = first + answer.headers.get_list("Set-Cookie")
    assert any("session" in cookie for cookie in cookies), answer.text[:300]
    for cookie in cookies:
        assert cookie.startswith("__Host-"), cookie
        assert "; Secure" in cookie
        assert re.search("samesite=(lax|strict)", cookie, re.IGNORECASE), cookie
    assert all("HttpOnly" in cookie for cookie in cookies if "session" in cookie)
