"""Who asks for much waits for themselves; the others do not."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from batchweb.fairness import (
    BUSY,
    REMEMBERED,
    RENEWED,
    Familiar,
    LimitRequests,
    Line,
    Lines,
    Sessions,
    person_behind,
    signed_in_from,
)
from jobs.models import SecurityEvent


class Register(Sessions):
    """Knows at once who is behind a session: whoever its key begins with, but for those that are invented."""

    async def person(self, key: str) -> str:
        return "" if key.startswith("invented") else key.split()[0]


class Crowd:
    """Requests to an application that answers each when it is told to."""

    def __init__(self, held: float = 0.0, **limits: int) -> None:
        self.lines = Lines(Register(), held=held, refused_after=0, familiar=Familiar(lambda: {"2.2.2.2"}), **limits)
        self.app = LimitRequests(LimitRequests(self.work, self.lines, bodies=True), self.lines, bodies=False)
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.gone: dict[str, asyncio.Event] = {}
        self.sent: dict[str, list[Any]] = {}

    async def work(self, scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            return
        name = scope["name"]
        self.begun.append(name)
        await self.gates[name].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(self, name: str, person: str = "", address: str = "", more: bool = False, gone: bool = False) -> None:
        cookie = f"{settings.SESSION_COOKIE_NAME}={person}".encode()
        headers = ([(b"cookie", cookie)] if person else []) + ([(b"content-length", b"9")] if more else [])
        scope = {"type": "http", "name": name, "headers": headers, "client": (address, 1) if address else None}
        self.gates[name], self.gone[name], self.sent[name] = asyncio.Event(), asyncio.Event(), []
        messages = [{"type": "http.request", "more_body": more}]
        if gone:
            self.gone[name].set()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await self.gone[name].wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent[name].append(message)

        self.tasks[name] = asyncio.create_task(self.app(scope, receive, send))
        await self.settle()

    async def settle(self) -> None:
        await self.lines.familiar.has("")
        for _ in range(20):
            await asyncio.sleep(0)

    async def answer(self, name: str) -> None:
        self.gates[name].set()
        await self.settle()

    async def hang_up(self, name: str) -> None:
        self.gone[name].set()
        await self.settle()

    async def close(self) -> None:
        """Everybody goes; nothing is left of them."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self.settle()
        for line in (self.lines.people, self.lines.addresses, self.lines.strangers):
            assert not +line.taken
            assert not line.line


async def test_it_lets_a_person_have_a_few_at_a_time() -> None:
    crowd = Crowd(of_person=2)
    for name in "abcd":
        await crowd.ask(name, "alice")
    assert crowd.begun == ["a", "b"]
    await crowd.answer("b")
    assert crowd.begun == ["a", "b", "c"]
    await crowd.close()


async def test_it_lets_nobody_wait_for_another_person() -> None:
    crowd = Crowd(of_person=2)
    for name in "abcd":
        await crowd.ask(name, "alice", "1.1.1.1")
    await crowd.ask("e", "bob", "1.1.1.1")
    assert crowd.begun == ["a", "b", "e"]
    await crowd.close()


async def test_it_lets_an_address_have_a_few_at_a_time_whatever_cookies_it_sends() -> None:
    crowd = Crowd(of_address=2)
    for name in "abcd":
        await crowd.ask(name, f"invented {name}", "1.1.1.1")
    await crowd.ask("e", "", "2.2.2.2")
    assert crowd.begun == ["a", "b", "e"]
    await crowd.close()


async def test_it_counts_all_sessions_of_a_person_together() -> None:
    crowd = Crowd(of_person=2)
    for name in "abcd":
        await crowd.ask(name, f"alice {name}", "1.1.1.1")
    assert crowd.begun == ["a", "b"]
    await crowd.close()


async def test_it_lets_nobody_wait_for_strangers_behind_the_same_address() -> None:
    crowd = Crowd(of_address=1)
    crowd.lines.sessions.known["alice 1"] = "alice", float("inf")
    await crowd.ask("a", "", "1.1.1.1")
    await crowd.ask("b", "alice 1", "1.1.1.1")
    assert crowd.begun == ["a", "b"]
    await crowd.close()


async def test_it_lets_few_strangers_in_at_a_time_wherever_they_come_from() -> None:
    crowd = Crowd(of_strangers=2)
    for name in "abcd":
        await crowd.ask(name, f"invented {name}", f"1.1.1.{name}")
    assert crowd.begun == ["a", "b"]
    await crowd.answer("a")
    assert crowd.begun == ["a", "b", "c"]
    await crowd.close()


async def test_it_lets_nobody_wait_for_strangers_who_comes_from_where_people_signed_in() -> None:
    crowd = Crowd(of_strangers=1)
    for name in "ab":
        await crowd.ask(name, "", f"1.1.1.{name}")
    await crowd.ask("form", "", "2.2.2.2")
    await crowd.ask("page", "alice", "2.2.2.2")
    assert crowd.begun == ["a", "form", "page"]
    await crowd.close()


async def test_it_learns_of_sign_ins_in_time() -> None:
    now, known = [100.0], {"1.1.1.1"}
    familiar = Familiar(lambda: set(known), lambda: now[0])
    assert await familiar.has("1.1.1.1")
    known |= {"2.2.2.2"}
    assert not await familiar.has("2.2.2.2")
    now[0] += RENEWED
    await familiar.has("2.2.2.2")
    assert familiar.reading
    await familiar.reading
    assert await familiar.has("2.2.2.2")


async def test_it_goes_on_with_what_it_knew_while_the_database_is_away() -> None:
    def read() -> set[str]:
        raise OperationalError

    familiar = Familiar(read)
    assert not await familiar.has("1.1.1.1")
    assert not familiar.reading


async def test_it_waits_for_no_database_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchweb.fairness.FIRST", 0.0)
    gate = threading.Event()
    familiar = Familiar(lambda: {"1.1.1.1"} if gate.wait(60) else set())
    assert not await familiar.has("1.1.1.1")
    gate.set()
    assert familiar.reading
    await familiar.reading
    assert await familiar.has("1.1.1.1")


@pytest.mark.django_db(transaction=True)
def test_it_knows_the_networks_of_those_who_signed_in() -> None:
    for kind, address in (("signed in", "2001:db8::5"), ("signed in", "9.9.9.9"), ("failed", "8.8.8.8")):
        SecurityEvent.objects.create(kind=kind, address=address)
    assert signed_in_from() == {"2001:db8::", "9.9.9.9"}


async def test_it_calls_nothing_before_the_turn_of_a_request_without_a_body() -> None:
    called: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["name"])
        await asyncio.Event().wait()

    crowd = Crowd(of_person=1)
    crowd.app = LimitRequests(app, crowd.lines, bodies=False)
    await crowd.ask("a", "alice")
    await crowd.ask("b", "alice")
    assert called == ["a"]
    await crowd.ask("file", "alice", more=True)
    assert called == ["a", "file"]
    await crowd.close()


async def test_it_opens_a_few_sockets_of_a_person_at_a_time() -> None:
    opened: list[str] = []
    gates = {name: asyncio.Event() for name in "abc"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        opened.append(scope["name"])
        await gates[scope["name"]].wait()
        await send({"type": "websocket.accept"})
        await receive()

    lines = Lines(Register(), of_person=1, held=0.0, familiar=Familiar(set))
    limited = LimitRequests(app, lines, bodies=False)

    async def handshake(name: str, gone: bool = False) -> asyncio.Task[None]:
        messages = [{"type": "websocket.connect"}] + ([{"type": "websocket.disconnect"}] if gone else [])

        async def receive() -> Any:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop(0)

        async def send(message: Any) -> None:
            pass

        cookie = f"{settings.SESSION_COOKIE_NAME}=alice".encode()
        scope = {"type": "websocket", "name": name, "headers": [(b"cookie", cookie)], "client": None}
        task = asyncio.create_task(limited(scope, receive, send))
        for _ in range(20):
            await asyncio.sleep(0)
        return task

    tasks = [await handshake("a"), await handshake("b", gone=True), await handshake("c")]
    assert (opened, tasks[1].done()) == (["a"], True)
    gates["a"].set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert opened == ["a", "c"]
    for task in tasks:
        task.cancel()


async def test_it_counts_a_request_until_it_is_answered_though_its_client_hung_up() -> None:
    crowd = Crowd(of_person=1)
    await crowd.ask("a", "alice")
    await crowd.hang_up("a")
    await crowd.ask("b", "alice")
    assert crowd.begun == ["a"]
    await crowd.answer("a")
    assert crowd.begun == ["a", "b"]
    await crowd.close()


async def test_it_holds_the_place_of_who_hung_up_for_a_moment() -> None:
    crowd = Crowd(of_person=1, held=0.1)
    await crowd.ask("a", "alice")
    crowd.tasks["a"].cancel()  # as Django does when the client is gone
    await crowd.ask("b", "alice")
    assert crowd.begun == ["a"]
    await asyncio.sleep(0.1)
    await crowd.answer("b")
    assert crowd.begun == ["a", "b"]
    await crowd.close()


async def test_it_begins_nothing_for_who_has_hung_up_already() -> None:
    crowd = Crowd(of_person=1)
    await crowd.ask("a", "alice", gone=True)
    assert crowd.begun == []
    await crowd.close()


async def test_it_never_begins_what_hung_up_while_it_waited() -> None:
    crowd = Crowd(of_person=1)
    for name in "abc":
        await crowd.ask(name, "alice")
    await crowd.hang_up("b")
    await crowd.answer("a")
    assert crowd.begun == ["a", "c"]
    assert crowd.sent["b"] == []
    await crowd.close()


async def test_it_does_not_count_what_is_still_sent() -> None:
    crowd = Crowd(of_person=1)
    await crowd.ask("upload", "alice", more=True)
    await crowd.ask("page", "alice")
    assert crowd.begun == ["upload", "page"]
    await crowd.close()


async def test_it_refuses_when_too_many_wait() -> None:
    crowd = Crowd(of_person=1)
    crowd.lines.people.waiting = 2
    for name in "abcd":
        await crowd.ask(name, "alice", "1.1.1.1")
    assert [message.get("status") for message in crowd.sent["d"]] == [429, None]
    assert crowd.sent["d"][1]["body"] == BUSY
    for name in "abc":
        await crowd.answer(name)
    assert crowd.begun == ["a", "b", "c"]
    await crowd.close()


async def test_it_passes_a_place_on_that_came_too_late() -> None:
    line = Line(1)
    await line.enter("a")
    first, second = asyncio.create_task(line.enter("a")), asyncio.create_task(line.enter("a"))
    await asyncio.sleep(0)
    line.leave("a")
    first.cancel()  # in the moment in which it is given the place
    await asyncio.wait({first}, timeout=5)
    await asyncio.wait({second}, timeout=5)
    assert second.done()
    assert not second.cancelled()
    line.leave("a")
    assert not +line.taken


@pytest.mark.django_db(transaction=True)
async def test_it_remembers_for_a_while_who_is_behind_a_session(django_user_model: Any) -> None:
    now = [100.0]
    sessions = Sessions(lambda: now[0])
    alice = await sync_to_async(django_user_model.objects.create_user)("alice")
    client = Client()
    await sync_to_async(client.force_login)(alice)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert (sessions.remembered(key), await sessions.person(key)) == ("", str(alice.pk))
    assert sessions.remembered(key) == str(alice.pk)
    now[0] += REMEMBERED
    assert sessions.remembered(key) == ""


@pytest.mark.django_db(transaction=True)
def test_it_finds_nobody_behind_a_key_that_is_made_up() -> None:
    assert person_behind("invented") == ""


async def test_it_gives_a_free_place_to_whose_address_has_the_fewest() -> None:
    crowd = Crowd(of_strangers=2)
    for name in "abcd":
        await crowd.ask(name, "", f"6.6.6.{ord(name) % 2}")
    await crowd.ask("new", "", "7.7.7.7")
    assert crowd.begun == ["a", "b"]
    await crowd.answer("a")
    assert crowd.begun == ["a", "b", "new"]
    await crowd.answer("new")
    assert crowd.begun == ["a", "b", "new", "c"]
    await crowd.close()


async def test_it_gives_a_place_on_that_came_too_late() -> None:
    crowd = Crowd(of_strangers=1)
    for name in "abc":
        await crowd.ask(name, "", f"6.6.6.{name}")
    await crowd.hang_up("b")
    await crowd.answer("a")
    assert crowd.begun == ["a", "c"]
    await crowd.close()
