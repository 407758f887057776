"""Requests that do not fit the address that batchweb believes to have: what differs, and which setting mends it.

Mostly a proxy in front rewrites the Host or does not tell the scheme. The log says so once for each pair of values; a
page says it to staff, and to everybody on a private system, and tells others whom to ask.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.csrf import REASON_BAD_ORIGIN, REASON_NO_REFERER
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)

REASONS: Final = tuple(text.partition(" - ")[0] for text in (REASON_BAD_ORIGIN, REASON_NO_REFERER))
LONGEST: Final = 100  # characters of a value that somebody sent
LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
PROXY_HOST: Final = "Have the proxy in front pass the Host on as it came"
PROXY_SCHEME: Final = (
    "Have the proxy in front set X-Forwarded-Proto, and set BEHIND_PROXY (now {count}) to the number of proxies; "
    "they are believed when they speak from TRUSTED_PROXIES."
)


class Mismatch(NamedTuple):
    """What the browser said, what batchweb took for its own, and what to do."""

    setting: str
    sent: str
    expected: str
    advice: str

    def __str__(self) -> str:
        return f"{self.setting}: the browser says {self.sent}, batchweb expects {self.expected}. {self.advice}"


class Notes:
    """Passes each text on once an hour, and so many texts at most, for anybody can send new ones."""

    def __init__(self, most: int = 100, seconds: float = 3600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.seconds = seconds
        self.clock = clock
        self.seen: set[str] = set()
        self.until = 0.0

    def new(self, text: str) -> bool:
        """Whether this text is to be said now."""
        if self.clock() >= self.until:
            self.seen.clear()
            self.until = self.clock() + self.seconds
        if text in self.seen or len(self.seen) >= self.most:
            return False
        self.seen.add(text)
        return True


notes: Final = Notes()


def note(mismatch: Mismatch) -> None:
    if notes.new(str(mismatch)):
        logger.warning("%s", mismatch)


def of_host(host: str) -> Mismatch:
    """A request to a host name that is none of ours."""
    ours = ", ".join(settings.ALLOWED_HOSTS)
    advice = f"{PROXY_HOST}; if people do use this name, set PUBLIC_URL, or add it to ALLOWED_HOSTS."
    return Mismatch("ALLOWED_HOSTS", host[:LONGEST] or "no host at all", ours, advice)


def of_origin(sent: str, scheme: str, host: str) -> Mismatch:
    """A form or a socket of a page at `sent` that arrived here as one for `scheme` and `host`."""
    expected, sent = f"{scheme}://{host[:LONGEST]}", sent[:LONGEST]
    if sent == "null":
        advice = "Have the proxy in front leave the Referrer-Policy as batchweb sends it, not “no-referrer”."
        return Mismatch("Referrer-Policy", "“null” as its address", expected, advice)
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return of_host(host)
    if sent.partition("://")[2] == host:
        return Mismatch("BEHIND_PROXY", sent, expected, PROXY_SCHEME.format(count=settings.PROXIES.count))
    advice = f"{PROXY_HOST}; or set PUBLIC_URL to the address that people use, or add it to CSRF_TRUSTED_ORIGINS."
    return Mismatch("CSRF_TRUSTED_ORIGINS", sent, expected, advice)


def is_of_address(reason: str) -> bool:
    """Whether Django's reason to refuse a form is the address of its page, and not its token."""
    return reason.startswith(REASONS)


def of_form(request: HttpRequest) -> Mismatch:
    """A form whose page stands at another address; a browser that was told to say nothing says so, or nothing."""
    referer = request.headers.get("Referer", "").split("/", 3)[:3]
    origin = request.headers.get("Origin", "") or "/".join(referer) or "null"
    return of_origin(origin, request.scheme or "", request.META.get("HTTP_HOST", ""))


def told_wrong_scheme(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], Any]:
    """Stops the circle of redirects to HTTPS where a proxy ends it and does not say so.

    Browsers send Sec-Fetch-Site over HTTPS only, and to this very machine.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        host = request.META.get("HTTP_HOST", "")
        hidden = settings.HTTPS and not request.is_secure() and "Sec-Fetch-Site" in request.headers
        if not hidden or split_domain_port(host)[0] in LOCAL:
            return get_response(request)
        return refused(request, 400, of_origin(f"https://{host}", "http", host))

    return middleware


def refused(request: HttpRequest, status: int, mismatch: Mismatch) -> HttpResponse:
    """The page for it."""
    note(mismatch)
    shown = mismatch if may_know(request) else None
    if "application/json" in request.headers.get("Accept", ""):
        unknown = f"batchweb is not set up for the address of this page. Ask {settings.CONTACT}."
        return JsonResponse({"detail": str(shown or unknown)}, status=status)
    context = {"status": status, "mismatch": shown, "contact": settings.CONTACT}
    return HttpResponse(render_to_string("address.html", context), status=status)


def may_know(request: HttpRequest) -> bool:
    """Whether settings may be named to whoever asks."""
    try:
        return not settings.PRODUCTION or bool(getattr(getattr(request, "user", None), "is_staff", False))
    except DatabaseError:
        return False
