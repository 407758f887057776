"""Secrets that a job carries: who may spell one out, where it is written, where it goes."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http.server import BaseHTTPRequestHandler
from secrets import token_hex
from urllib.parse import quote

import httpx
import pytest

from tests.attacks.forms import forms
from tests.attacks.speed import first_fast
from tests.attacks.target import Target, code_of
from tests.processors.servers import reply, serving
from tests.system import until

pytestmark = pytest.mark.attacks
TEXTS = b"text\none\ntwo\nthree\n"
PIECE = 12  # letters of a secret that are enough to recognise it
LOOKUPS = ("startswith", "contains", "icontains", "iregex", "regex", "gt", "lt", "endswith", "has_key", "isnull", "in")
PATHS = ("parameters__token", "parameters", "run__parameters__token", "runs__parameters__token", "runs__parameters",
         "job__parameters__token", "job__run__parameters__token", "upload__job__parameters__token",
         "owner__password", "owner__email", "shares__person__password", "password", "logentry__object_repr",
         "job__owner__password", "upload__owner__password", "activities__by__password", "by__password")  # fmt: skip
LISTS = ("jobs/job/", "jobs/item/", "jobs/cause/", "jobs/worker/", "jobs/activity/", "auth/user/", "auth/group/")


class Service:
    """Takes what a job sends; answers as it is told, and repeats what it was sent where it refuses."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.status = 200

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.sent.append(request.headers.get("Authorization", ""))
        reply(request, self.status, f"You sent {self.sent[-1]}".encode())


@contextmanager
def service(status: int = 200) -> Iterator[tuple[str, Service]]:
    made = Service()
    made.status = status
    with serving(made.answer) as address:
        yield address, made


def secret() -> str:
    """One that looks different in each way of writing it."""
    return f'k{token_hex(8)}/+="&ä{token_hex(8)}\\ end'


def pieces(token: str) -> dict[str, str]:
    """What none of the places may hold: each way of writing it, and its first letters alone."""
    found = {f"it {how}": form for how, form in forms(token).items()}
    return found | {
        "its beginning": token[:PIECE],
        "its beginning in base64": base64.b64encode(token.encode()).decode()[:16],
    }


def delivered(prey: Target, token: str, address: str) -> str:
    """The code of a job of mallory's that has carried the secret."""
    sent = {"param_url": address, "param_token": token, "map_text": "text"}
    answer = prey.made("mallory", TEXTS, processor="deliver", **sent)
    code = code_of(answer)
    assert code, answer.text[:500]
    prey.ended(prey.as_("mallory"), code)
    return code


def found_in(text: str, token: str) -> list[str]:
    """Which ways of writing the secret stand in a text."""
    plain = unescape(text)
    return [how for how, form in pieces(token).items() if form in text or form in plain]


@pytest.mark.parametrize("place", first_fast(LISTS))
def test_it_lets_no_staff_spell_out_what_they_may_not_see(prey: Target, place: str) -> None:
    """Look-ups in the admin's addresses tell true from false by what they list."""
    token = secret()
    with service() as (address, _):
        delivered(prey, token, address)
    staff, told, asked = prey.as_("staffan"), [], 0
    for path in PATHS:
        for how in LOOKUPS:
            right, wrong = values(how, token)
            pages = [listed(staff, f"/admin/{place}?{path}__{how}={quote(value)}") for value in (right, wrong)]
            asked += 2
            if pages[0] != pages[1]:
                told.append(f"{place}?{path}__{how}")
    print(f"{asked} look-ups were asked")
    assert not told, f"{len(told)} look-ups tell: {told[:8]}"


def values(how: str, token: str) -> tuple[str, str]:
    """A value that is true of the secret, and one that is not."""
    if how in ("gt", "lt"):
        return ('"a', '"z')
    if how in ("isnull", "has_key"):
        return ("0", "1") if how == "isnull" else ("token", "nothing")
    return token[:6], "q" + token[1:6][::-1] + "zz"


def listed(client: httpx.Client, path: str) -> tuple[int, int, int]:
    """What a list of the admin tells: its status, how many rows, how often the page was sent on."""
    answer = client.get(path)
    return answer.status_code, answer.text.count("action-select"), len(answer.history)


@pytest.mark.parametrize("status", first_fast([200, 400]))
def test_it_writes_no_secret_anywhere(prey: Target, status: int) -> None:
    """Data folder, database, broker, log."""
    token = secret()
    with service(status) as (address, received):
        delivered(prey, token, address)
        assert received.sent[0].split()[-1] == base64.b64encode(token.encode()).decode(), "it does arrive"
    until(lambda: "courier_library" in prey.log(), 10, "the library has logged")
    places = {"the log": found_in(prey.log(), token)}
    for name, data in prey.everything_stored():
        places[name] = found_in(data.decode(errors="replace"), token)
    told = {place: how for place, how in places.items() if how}
    print(f"{len(places)} places were looked through")
    assert not told, told


@pytest.mark.fast
def test_it_shows_no_secret_on_any_page(prey: Target) -> None:
    """Pages, downloads and lists of the owner, of staff and of an administrator."""
    token = secret()
    with service(400) as (address, _):
        code = delivered(prey, token, address)
    prey.post(prey.as_("mallory"), f"/jobs/{code}/share/", {"person": "eve", "may": "act"})
    key = prey.shell("from jobs.models import Job", f"print(Job.objects.get(code='{code}').pk)").splitlines()[-1]
    own = ("", "snapshot.json", "items/?state=all", "items/1/", "items/2/edit/", "results.csv", "results.jsonl",
           "results.json", "results.xlsx", "failed.csv", "causes/", "activity/", "retry/", "change/", "setup/",
           "corrections/")  # fmt: skip
    pages = [f"/jobs/{code}/{place}" for place in own] + [f"/jobs/new/?again={code}"]
    admin = [f"/admin/jobs/job/{key}/change/", f"/admin/jobs/job/?q={quote(token[:8])}",
             f"/admin/jobs/job/{key}/history/", f"/admin/jobs/item/?job={code}",
             "/admin/jobs/cause/", "/admin/jobs/activity/"]  # fmt: skip
    told = []
    for who, paths in (("mallory", pages), ("eve", pages), ("staffan", pages + admin)):
        for path in paths:
            if how := found_in(
                prey.as_(who).get(path).text.replace(quote(token[:8]), "").replace(token[:8] + '"', ""), token
            ):
                told.append((who, path, how))
    assert not told, told[:8]


@pytest.mark.parametrize("who", first_fast(["mallory", "eve"]))
def test_it_sends_no_secret_elsewhere(prey: Target, who: str) -> None:
    """A retry with another address, by the owner and by somebody who may act."""
    token = secret()
    with service(400) as (address, _), service() as (other, received):
        code = delivered(prey, token, address)
        prey.post(prey.as_("mallory"), f"/jobs/{code}/share/", {"person": "eve", "may": "act"})
        for fields in (
            {"param_url": other},
            {"param_url": other, "param_token": ""},
            {"param_url": other, "param_token": "•••"},
        ):
            prey.post(prey.as_(who), f"/jobs/{code}/retry/", fields)
            until(lambda: prey.state(who, code) not in ("queued", "running"), 60, "the retry has ended")
        encoded = base64.b64encode(token.encode()).decode()
        assert not [sent for sent in received.sent if encoded in sent], "The secret went to another address."


def test_it_sends_no_secret_where_a_form_did_not_say(prey: Target) -> None:
    """The form shows one address; until it is sent somebody else has put in another, with a secret of their own."""
    mine, later = secret(), secret()
    with service(400) as (shown, first), service(400) as (moved, second):
        code = delivered(prey, secret(), shown)
        owner, other, url = prey.as_("mallory"), prey.as_("eve"), f"/jobs/{code}/retry/"
        prey.post(owner, f"/jobs/{code}/share/", {"person": "eve", "may": "act"})
        seen = {"param_url": shown, "initial-param_url": shown}
        assert seen["param_url"] in unescape(other.get(url).text)
        prey.post(owner, url, {"param_url": moved, "initial-param_url": shown, "param_token": mine})
        prey.ended(owner, code)
        assert base64.b64encode(mine.encode()).decode() in "".join(second.sent)
        answer = prey.post(other, url, seen | {"param_token": later})
        until(lambda: prey.state("eve", code) not in ("queued", "running"), 60, "the retry has ended")
        assert base64.b64encode(later.encode()).decode() not in "".join(first.sent + second.sent)
        assert (answer.status_code, "was changed meanwhile" in answer.text) == (422, True)


def test_it_makes_no_job_of_a_secret_of_others(prey: Target) -> None:
    """Whoever may look at a job runs it again, but without its secret."""
    token = secret()
    with service() as (address, _), service() as (other, received):
        code = delivered(prey, token, address)
        prey.post(prey.as_("mallory"), f"/jobs/{code}/share/", {"person": "eve", "may": "act"})
        page = prey.as_("eve").get(f"/jobs/new/?again={code}").text
        assert not found_in(page, token)
        upload = page.split('name="upload" id="id_upload" value="')[1].split('"')[0]
        sent = {"processor": "deliver", "upload": upload, "workers": "1", "attempts": "1", "timeout": "60",
                "param_url": other, "map_text": "text", "again": code}  # fmt: skip
        answer = prey.post(prey.as_("eve"), "/jobs/new/", sent)
        if made := code_of(answer):
            prey.ended(prey.as_("eve"), made)
        encoded = base64.b64encode(token.encode()).decode()
        assert not [sent for sent in received.sent if encoded in sent]


def test_it_keeps_the_first_letters_to_itself(prey: Target) -> None:
    """A search for the secret's letters finds nothing in jobs, items and causes."""
    token = secret()
    with service(400) as (address, _):
        code = delivered(prey, token, address)
    for letters in (token[:PIECE], *(token[:PIECE][:-1] + last for last in string.ascii_lowercase[:3])):
        page = prey.as_("mallory").get(f"/jobs/{code}/items/?state=all&q={quote(letters)}").text
        assert "item-row" not in page, letters
