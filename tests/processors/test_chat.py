from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from jobs.engine import RetryLater
from jobs.processors import Failed
from jobs.processors.chat import PASSING, WAIT, Chat, Endpoint, configured
from tests.processors.servers import Answer, reply, serving

KEY = "sk-canary-5e1f"
MESSAGES = [{"role": "user", "content": "hello"}]


def answer(content: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


@contextmanager
def chatting(server: Answer) -> Iterator[Chat]:
    with serving(server) as base:
        chat = Chat(Endpoint(f"{base}/v1", KEY, "small"))
        try:
            yield chat
        finally:
            chat.close()


def ask(status: int, body: bytes = b"{}", **headers: str) -> str:
    with chatting(lambda handler: reply(handler, status, body, **headers)) as chat:
        return chat.ask(MESSAGES)


def failure(status: int, body: bytes = b"{}") -> Failed:
    with pytest.raises(Failed) as caught:
        ask(status, body)
    return caught.value


def wait(**headers: str) -> float:
    with pytest.raises(RetryLater) as caught:
        ask(429, b"{}", **headers)
    return caught.value.seconds


def test_it_asks_the_endpoint_as_its_api_says() -> None:
    seen: dict[str, Any] = {}

    def server(handler: BaseHTTPRequestHandler) -> None:
        seen.update(path=handler.path, key=handler.headers["Authorization"])
        seen["body"] = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        reply(handler, 200, answer("hi"))

    with chatting(server) as chat:
        chat.ask(MESSAGES, 0.5)
    assert seen == {
        "path": "/v1/chat/completions",
        "key": f"Bearer {KEY}",
        "body": {"model": "small", "messages": MESSAGES, "temperature": 0.5},
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("short", "short"),
        ("  two\nlines ", "two lines"),
        ('"quoted"', "quoted"),
        ('"a" or "b"', '"a" or "b"'),
        ("<think>hm\nhm</think>short", "short"),
    ],
)
def test_it_takes_the_answer_on_one_line(content: str, text: str) -> None:
    assert ask(200, answer(content)) == text


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": []}', answer(""), answer(None), answer('""')])
def test_it_fails_for_now_when_the_answer_is_unusable(body: bytes) -> None:
    assert failure(200, body).failure_kind == "unusable answer"


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_it_fails_for_now_when_the_server_fails(status: int) -> None:
    assert failure(status).failure_kind == "server error"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "bad request"), (401, "not authorised"), (403, "not authorised"), (404, "not found"), (302, "http 302")],
)
def test_it_fails_for_good_when_the_request_is_wrong(status: int, kind: str) -> None:
    caught = failure(status)
    assert (caught.failure_kind, kind in PASSING) == (kind, False)


def test_it_says_why_a_request_was_refused() -> None:
    body = json.dumps({"error": {"message": "The query is\n too long."}}).encode()
    assert str(failure(400, body)) == "The language model refused the request: The query is too long."


def test_it_blots_out_a_key_that_the_service_repeats() -> None:
    body = json.dumps({"error": {"message": f"Wrong key {KEY}!"}}).encode()
    assert str(failure(422, body)) == "The language model refused the request: Wrong key •••!"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 500])
def test_it_never_shows_the_key(status: int) -> None:
    body = json.dumps({"error": KEY}).encode()
    assert KEY not in str(failure(status, body))


def test_it_waits_as_long_as_the_service_asks() -> None:
    assert wait(Retry_After="7") == 7.0


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "soon"}])
def test_it_waits_a_little_when_the_service_does_not_say(headers: dict[str, str]) -> None:
    assert wait(**headers) == WAIT


def test_it_waits_an_hour_at_most() -> None:
    assert wait(Retry_After="1000000") == 3600.0


def test_it_fails_for_good_when_the_quota_is_used_up() -> None:
    assert failure(429, b'{"error": {"code": "insufficient_quota"}}').failure_kind == "quota used up"


def test_it_fails_for_now_when_nobody_answers() -> None:
    with serving(reply) as base:
        pass
    chat = Chat(Endpoint(base, KEY, "small"))
    with pytest.raises(Failed) as caught:
        chat.ask(MESSAGES)
    chat.close()
    assert caught.value.failure_kind == "connection failed"


def test_it_shows_no_more_of_an_error_than_its_own_sentence() -> None:
    with serving(reply) as base:
        pass
    chat = Chat(Endpoint(base, KEY, "small"))
    with pytest.raises(Failed) as caught:
        chat.ask(MESSAGES)
    chat.close()
    assert caught.value.__suppress_context__


def test_it_fails_for_good_when_the_address_is_none() -> None:
    chat = Chat(Endpoint("example", KEY, "small"))
    with pytest.raises(Failed, match="LLM_BASE_URL is no http or https address"):
        chat.ask(MESSAGES)
    chat.close()


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ключ"])
def test_it_refuses_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(Failed, match=r"^LLM_API_KEY holds characters that cannot be sent\.$"):
        Chat(Endpoint("http://127.0.0.1", key, "small"))


def test_it_shows_no_key_in_its_settings() -> None:
    assert repr(Endpoint("http://127.0.0.1", KEY, "small")) == "Endpoint(model='small')"


def test_it_is_configured_by_three_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LLM_BASE_URL", "http://127.0.0.1/v1/"), ("LLM_API_KEY", f"{KEY}\n"), ("LLM_MODEL", "m")):
        monkeypatch.setenv(name, value)
    assert configured() == Endpoint("http://127.0.0.1/v1", KEY, "m")


def test_it_is_not_configured_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_BASE_URL", "http://127.0.0.1")
    monkeypatch.setenv("LLM_MODEL", "m")
    assert configured() is None
