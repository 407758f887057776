"""Guessing passwords, telling who exists, taking over names, and what a log says of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.attacks.speed import first_fast
from tests.attacks.target import PASSWORD, Target, code_of, target
from tests.system import csv_of, until

pytestmark = pytest.mark.attacks
LOGIN = "/accounts/login/"
COUNTS = ("Throttle", "AccessAttempt")  # tables of what was tried, which one attack must not leave to the next


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A system of its own: who guesses here locks addresses and names for others."""
    with ExitStack() as stack:
        yield stack.enter_context(target(tmp_path_factory.mktemp("gate"), WORKER_PROCESSES="1"))


def newcomer(gate: Target, name: str, password: str = PASSWORD) -> str:
    """A person whom nobody has tried to be yet; and nobody is locked out."""
    gate.shell(
        "from django.apps import apps",
        "from django.contrib.auth.models import User",
        f"User.objects.create_user({name!r}, {name!r} + '@example.org', {password!r})",
        f"counts = [model for model in apps.get_models() if model.__name__ in {COUNTS}]",
        "[model.objects.all().delete() for model in counts]",
    )
    return name


def guess(
    gate: Target,
    name: str,
    password: str,
    client: httpx.Client | None = None,
    claims: Mapping[str, str] | None = None,
) -> httpx.Response:
    """What somebody is told who tries a password."""
    client = client or gate.stranger()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(LOGIN).text)
    sent = {"username": name, "password": password, "csrfmiddlewaretoken": token[1] if token else ""}
    return client.post(
        LOGIN, data=sent, headers={"Referer": gate.url + LOGIN, **(claims or {})}, follow_redirects=False
    )


def inside(answer: httpx.Response) -> bool:
    return answer.status_code == 302 and "batchweb_session=" in answer.headers.get("Set-Cookie", "")


@pytest.mark.fast
def test_it_lets_nobody_in_after_30_guesses(gate: Target) -> None:
    name = newcomer(gate, "guessed")
    answers = [guess(gate, name, f"wrong-{at}") for at in range(30)]
    assert not any(map(inside, answers))
    last = guess(gate, name, PASSWORD)
    assert not inside(last), "30 wrong passwords, and the right one still opens."
    assert re.search(r"later|wait|minute|too many|again", last.text, re.IGNORECASE), last.text[:500]
    assert last.status_code in (200, 403, 429)


def test_it_counts_guesses_whatever_address_is_claimed(gate: Target) -> None:
    name = newcomer(gate, "claimed")
    for at in range(30):
        there = f"203.0.113.{at}"
        claims = {"X-Forwarded-For": there, "X-Real-IP": there, "Forwarded": f"for={there}"}
        guess(gate, name, f"wrong-{at}", claims=claims)
    assert not inside(guess(gate, name, PASSWORD, claims={"X-Forwarded-For": "203.0.113.99"}))


@pytest.mark.parametrize("spelled", [" {}", "{} ", "{}\t"])
def test_it_counts_guesses_however_a_name_is_spelled(gate: Target, spelled: str) -> None:
    """What Django takes for the same name is the same name."""
    name = newcomer(gate, f"spelt{len(spelled)}{ord(spelled[-1])}")
    for at in range(30):
        guess(gate, spelled.format(name), f"wrong-{at}")
    assert not inside(guess(gate, name, PASSWORD))


def test_it_counts_guesses_at_a_name_in_wide_letters(gate: Target) -> None:
    name = newcomer(gate, "wide")
    for at in range(30):
        guess(gate, "ｗｉｄｅ", f"wrong-{at}")
    assert not inside(guess(gate, name, PASSWORD))


def test_it_counts_guesses_at_the_names_of_many(gate: Target) -> None:
    name = newcomer(gate, "one-of-many")
    for at in range(70):
        guess(gate, f"somebody{at}", "letmein-please")
    assert not inside(guess(gate, name, PASSWORD)), "70 names were tried from one address, and it goes on."


def test_it_counts_guesses_in_the_admin_and_of_the_old_password(gate: Target) -> None:
    name = newcomer(gate, "boss")
    gate.shell(
        "from django.contrib.auth.models import User", f"User.objects.filter(username={name!r}).update(is_staff=True)"
    )
    client = gate.stranger()
    for at in range(30):
        page = client.get("/admin/login/", follow_redirects=True)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        sent = {"username": name, "password": f"wrong-{at}", "csrfmiddlewaretoken": token[1] if token else ""}
        client.post(str(page.url), data=sent, headers={"Referer": str(page.url)})
    assert not inside(guess(gate, name, PASSWORD))


def test_it_tells_nobody_who_exists(gate: Target) -> None:
    name = newcomer(gate, "known")
    for path, field in ((LOGIN, "username"), ("/accounts/password_reset/", "email")):
        said = []
        for who in (name, "unknown"):
            client = gate.stranger()
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(path).text)
            value = who if field == "username" else f"{who}@example.org"
            sent = {field: value, "password": "wrong-one", "csrfmiddlewaretoken": token[1] if token else ""}
            answer = client.post(path, data=sent, headers={"Referer": gate.url + path})
            said.append((answer.status_code, str(answer.url), sentences(answer.text, value)))
        assert said[0] == said[1], path


def sentences(page: str, name: str) -> str:
    """The page without what is new each time."""
    return re.sub(r'value="\w{64}"', "", page).replace(name, "NAME")


@pytest.mark.fast
def test_it_logs_who_fails_and_who_comes_in(gate: Target) -> None:
    name = newcomer(gate, "written")
    guess(gate, name, "wrong-one")
    assert inside(guess(gate, name, PASSWORD))
    time.sleep(0.5)
    lines = [line for line in gate.lines if name in line]
    assert any(re.search("fail|wrong|refus|denied", line, re.IGNORECASE) for line in lines), lines
    assert any(re.search("signed.in|log(ged)? ?in|success", line, re.IGNORECASE) for line in lines), lines
    assert not any("wrong-one" in line or PASSWORD in line for line in gate.lines)


@pytest.mark.parametrize(
    "separator", first_fast(["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b", "\x1b[2K\x1b[1G", "\0"])
)
def test_it_writes_one_line_for_each_record(gate: Target, separator: str) -> None:
    newcomer(gate, f"line{abs(hash(separator)) % 10_000}")
    forged = "2026-11-30 12:00:00,000 INFO jobs.forged: mallory became administrator"
    guess(gate, f"nobody{separator}{forged}", "wrong-one")
    gate.made("mallory", csv_of(3).encode(), f"rows{separator}{forged}.csv")
    gate.stranger().get("/accounts/login/", headers={"User-Agent": f"a {forged}", "X-Forwarded-For": f"a {forged}"})
    time.sleep(0.5)
    lines = "\n".join(gate.lines)
    alone = [
        line
        for line in re.split("[\n\r\u2028\x85\x0b]", lines)
        if re.sub(r"^\w+ *\| *", "", line).startswith("2026-11-30 12:00:00,000")
    ]
    assert not alone, alone
    assert "\x1b[2K" not in lines


def ask_for_mails(gate: Target, address: str, times: int) -> list[httpx.Response]:
    """The answers to somebody who wants to have a password reset; none where there is no such form."""
    answers: list[httpx.Response] = []
    for _ in range(times):
        client = gate.stranger()
        page = client.get("/accounts/password_reset/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        if not token:
            return answers
        sent = {"email": address, "csrfmiddlewaretoken": token[1]}
        answers.append(client.post("/accounts/password_reset/", data=sent, headers={"Referer": gate.url}))
    return answers


def test_it_logs_no_link_that_sets_a_password(gate: Target) -> None:
    name = newcomer(gate, "mailed")
    answers = ask_for_mails(gate, f"{name}@example.org", 3)
    time.sleep(0.5)
    links = [line for line in gate.lines if re.search(r"/reset/\w+/[\w-]{10,}", line)]
    assert not links, f"{len(links)} links stand in the log: {links[0][:120]}"
    assert not any(answer.status_code >= 500 for answer in answers)


def test_it_sends_few_mails(alone: ExitStack, tmp_path: Path) -> None:
    """28 people in a row want somebody's password reset."""
    (box := tmp_path / "mails").mkdir()
    settings = {"EMAIL_URL": f"filemail://{box}", "WEB_PROCESSES": "1", "WORKER_PROCESSES": "1"}
    system = alone.enter_context(target(tmp_path, **settings))
    answers = ask_for_mails(system, "eve@example.org", 28)
    assert len({answer.url.path for answer in answers}) == 1, "Each is told the same."

    def sent() -> int:
        return sum(path.read_text().count("Subject:") for path in box.iterdir())

    until(sent, 30, "a mail is sent")
    time.sleep(1)  # for those that would be too many
    print(f"{len(answers)} were asked for, {sent()} were sent")
    assert sent() <= 5, f"{sent()} mails were sent"


@pytest.mark.parametrize("weak", ["password1234", "123456789012", "aaaaaaaaaaaa", "qwertyuiop12", "short-1", "newword",
                                  "changeme1234", "batchweb-batchweb"])  # fmt: skip
def test_it_takes_no_weak_password(gate: Target, weak: str) -> None:
    name = newcomer(gate, f"weak{abs(hash(weak)) % 10_000}")
    client = gate.client(name)
    fields = {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}
    gate.post(client, "/accounts/password_change/", fields)
    assert not inside(guess(gate, name, weak)), f"{weak!r} was taken."


def test_it_makes_a_new_session_at_sign_in_and_ends_others_at_a_new_password(gate: Target) -> None:
    name = newcomer(gate, "fixed")
    client = gate.stranger()
    client.cookies.set("batchweb_session", "a" * 32, domain="127.0.0.1")
    answer = guess(gate, name, PASSWORD, client)
    assert "a" * 32 not in answer.headers.get("Set-Cookie", "")
    first, second = gate.client(name), gate.client(name)
    assert first.cookies["batchweb_session"] != second.cookies["batchweb_session"]
    new = "a-longer-and-a-better-one-7"
    gate.post(
        first, "/accounts/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    asked = {"Accept": "application/json"}
    assert second.get("/jobs/list.json", headers=asked, follow_redirects=False).status_code == 401


def test_it_shares_with_nobody_who_took_the_name_of_an_address(gate: Target) -> None:
    """A user whose name is somebody else's e-mail address gets nothing that is meant for them."""
    gate.shell(
        "from django.contrib.auth.models import User",
        f"User.objects.create_user('eve@example.org', 'other@example.org', {PASSWORD!r})",
    )
    code = code_of(gate.made("mallory", csv_of(3).encode()))
    gate.post(gate.as_("mallory"), f"/jobs/{code}/share/", {"person": "eve@example.org", "may": "look"})
    thief = gate.client("eve@example.org")
    assert thief.get(f"/jobs/{code}/").status_code == 404


@pytest.mark.parametrize("leads", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)",
                                   "https:evil.example", "\thttps://evil.example",
                                   "//evil.example\\@127.0.0.1/"])  # fmt: skip
def test_it_leads_nobody_elsewhere_after_sign_in(gate: Target, leads: str) -> None:
    name = newcomer(gate, f"led{abs(hash(leads)) % 10_000}")
    client = gate.stranger()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(LOGIN, params={"next": leads}).text)
    sent = {"username": name, "password": PASSWORD, "next": leads, "csrfmiddlewaretoken": token[1] if token else ""}
    answer = client.post(LOGIN, data=sent, headers={"Referer": gate.url + LOGIN}, follow_redirects=False)
    assert answer.headers.get("Location", "/").startswith("/")
    assert "evil" not in answer.headers.get("Location", "")


def test_it_takes_the_link_of_the_first_administrator_once(alone: ExitStack, tmp_path: Path) -> None:
    system = alone.enter_context(target(tmp_path, WEB_PROCESSES="1", WORKER_PROCESSES="1"))
    path = system.link.removeprefix(system.url)
    assert system.stranger().get(path, follow_redirects=False).headers["Location"] == "/"
    assert "login" in system.stranger().get(path, follow_redirects=False).headers["Location"]
    assert "sesame=AA" not in "\n".join(line for line in system.lines if not line.startswith("Sign in: "))
