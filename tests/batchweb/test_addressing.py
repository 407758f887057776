"""A refused origin or host: what staff are told, what others, and what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client, override_settings

from batchweb import addressing, asgi
from batchweb.addressing import Notes
from batchweb.forwarded import Proxies
from tests.base import People

HOST = "batch.example.com"
OURS = {"ALLOWED_HOSTS": [HOST, "testserver"], "PRODUCTION": True, "PROXIES": Proxies(0, [])}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Nothing was said before."""
    addressing.notes.seen.clear()
    yield
    addressing.notes.seen.clear()


@override_settings(**OURS)
class OriginTests(People):
    def sent(self, person: Any = None, **headers: str) -> Any:
        """The answer to a form of the sign-in page, or of a person who is signed in."""
        client = Client(enforce_csrf_checks=True)
        if person:
            client.force_login(person)
        names: dict[str, Any] = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        return client.post("/accounts/logout/", secure=False, **({"HTTP_HOST": HOST} | names))

    def test_it_names_both_values_and_the_setting_to_staff(self) -> None:
        answer = self.sent(self.sam, origin="https://people.example.com")
        assert answer.status_code == 403
        for text in ("https://people.example.com", f"http://{HOST}", "CSRF_TRUSTED_ORIGINS", "PUBLIC_URL"):
            self.assertContains(answer, text, status_code=403)

    def test_it_tells_others_whom_to_ask(self) -> None:
        with override_settings(CONTACT="help@example.com"):
            answer = self.sent(self.alice, origin="https://people.example.com")
        self.assertContains(answer, "Ask help@example.com.", status_code=403)
        for text in ("people.example.com", "CSRF_TRUSTED_ORIGINS"):
            self.assertNotContains(answer, text, status_code=403)

    def test_it_tells_everybody_on_a_private_system(self) -> None:
        with override_settings(PRODUCTION=False):
            self.assertContains(self.sent(origin="https://people.example.com"), "PUBLIC_URL", status_code=403)

    def test_it_tells_scripts_in_json(self) -> None:
        answer = self.sent(self.sam, origin="https://people.example.com", accept="application/json")
        assert answer.json()["detail"].startswith("CSRF_TRUSTED_ORIGINS: the browser says https://people.example.com,")

    def test_it_names_the_proxy_where_the_scheme_alone_differs(self) -> None:
        answer = self.sent(self.sam, origin=f"https://{HOST}")
        self.assertContains(answer, "X-Forwarded-Proto", status_code=403)
        self.assertContains(answer, "BEHIND_PROXY (now 0)", status_code=403)

    def test_it_names_the_policy_where_the_browser_was_told_to_say_nothing(self) -> None:
        self.assertContains(self.sent(self.sam, origin="null"), "Referrer-Policy", status_code=403)

    def test_it_goes_by_the_referer_where_there_is_no_origin(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.sam)
        options: dict[str, Any] = {"secure": True, "HTTP_HOST": HOST}
        answer = client.post("/accounts/logout/", HTTP_REFERER="https://other.example.com/a/page", **options)
        self.assertContains(answer, '<dd dir="auto">https://other.example.com</dd>', status_code=403)
        self.assertContains(client.post("/accounts/logout/", **options), "Referrer-Policy", status_code=403)

    def test_it_still_calls_a_form_without_a_token_too_old(self) -> None:
        answer = self.sent(self.sam, origin=f"http://{HOST}")
        self.assertContains(answer, "The form is too old", status_code=403)

    def test_it_says_it_in_the_log_once_for_each_pair(self) -> None:
        with self.assertLogs("batchweb.addressing", "WARNING") as log:
            for origin in ("https://a.example.com", "https://a.example.com", "https://b.example.com"):
                self.sent(origin=origin)
        assert len(log.output) == 2, log.output


@override_settings(**OURS)
class HostTests(People):
    def test_it_answers_with_a_plain_page(self) -> None:
        answer = self.client.get("/", HTTP_HOST="evil.example")
        self.assertContains(answer, "batchweb is not set up for this address", status_code=400)
        self.assertNotContains(answer, "evil.example", status_code=400)

    def test_it_names_the_setting_on_a_private_system(self) -> None:
        with override_settings(PRODUCTION=False):
            answer = self.client.get("/", HTTP_HOST="other.example")
        for text in ("other.example", HOST, "ALLOWED_HOSTS", "PUBLIC_URL"):
            self.assertContains(answer, text, status_code=400)

    def test_it_says_so_in_one_line_for_each_name(self) -> None:
        with self.assertLogs(None, "WARNING") as log:
            for host in ("a.example", "a.example", "b.example", "a.example"):
                self.client.get("/", HTTP_HOST=host)
        said = "WARNING:batchweb.addressing:ALLOWED_HOSTS: the browser says"
        assert [line.split(", ")[0] for line in log.output] == [f"{said} a.example", f"{said} b.example"]


@override_settings(**OURS, HTTPS=True, SECURE_SSL_REDIRECT=True)
class SchemeTests(People):
    def test_it_ends_the_circle_of_redirects_behind_a_proxy_that_tells_no_scheme(self) -> None:
        answer = self.client.get("/", HTTP_HOST=HOST, HTTP_SEC_FETCH_SITE="none")
        assert answer.status_code == 400

    def test_it_leads_to_https_who_came_without(self) -> None:
        answer = self.client.get("/jobs/new/", HTTP_HOST=HOST)
        assert (answer.status_code, answer["Location"]) == (301, f"https://{HOST}/jobs/new/")

    def test_it_lets_https_through(self) -> None:
        assert (
            self.client.get("/accounts/login/", HTTP_HOST=HOST, HTTP_SEC_FETCH_SITE="none", secure=True).status_code
            == 200
        )


async def refused_socket(*headers: tuple[bytes, bytes]) -> Any:
    scope = {
        "type": "websocket", "path": "/ws/jobs/", "query_string": b"", "scheme": "ws", "subprotocols": [],
        "headers": [(b"host", HOST.encode()), *headers],
    }  # fmt: skip
    line = ApplicationCommunicator(asgi.application, scope)
    await line.send_input({"type": "websocket.connect"})
    return await line.receive_output(5)


@override_settings(**OURS)
async def test_it_says_in_the_log_why_a_socket_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert (await refused_socket((b"origin", b"https://batch.example.com")))["type"] == "websocket.close"
    assert "BEHIND_PROXY: the browser says https://batch.example.com, batchweb expects http://batch.e" in caplog.text


@override_settings(**OURS)
async def test_it_says_nothing_of_a_socket_that_no_page_opened(caplog: pytest.LogCaptureFixture) -> None:
    assert (await refused_socket())["type"] == "websocket.close"
    assert caplog.text == ""


def test_it_passes_each_text_on_once_an_hour_and_so_many_at_most() -> None:
    now = [0.0]
    notes = Notes(most=2, seconds=60, clock=lambda: now[0])
    assert [notes.new(text) for text in ("a", "a", "b", "c", "b")] == [True, False, True, False, False]
    now[0] = 60.0
    assert notes.new("c")
