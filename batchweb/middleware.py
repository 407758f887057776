"""What every request meets on its way to a view."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import user_logged_out
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.handlers.asgi import ASGIRequest
from django.db import DataError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render, resolve_url
from django.template.defaultfilters import filesizeformat
from django.utils.http import url_has_allowed_host_and_scheme
from whitenoise.middleware import WhiteNoiseMiddleware

from batchweb import concurrency, deadlines, refusals
from batchweb.body_limits import REFUSED, TOO_LARGE, TOO_SLOW
from batchweb.deadlines import Deadline
from batchweb.refusals import refusal

logger = logging.getLogger(__name__)

HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in (
        "camera", "microphone", "geolocation", "payment", "usb", "serial", "hid", "midi", "display-capture",
        "browsing-topics",
    )),
}  # fmt: skip
ODD: Final = re.compile("[\0\ud800-\udfff]")


class Static(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves the pages' own files, under ASGI too, where Django warns of answers that are not asynchronous."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        answer: Any = WhiteNoiseMiddleware.serve(static_file, request)
        if "immutable" in answer.get("Cache-Control", ""):
            # Nobody asks whether it has changed, and a page fetches many small ones.
            del answer["ETag"], answer["Last-Modified"]
        if isinstance(request, ASGIRequest):
            answer.streaming_content = whole(answer.streaming_content)
        return answer  # type: ignore[no-any-return]


async def whole(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The file in one piece: those of the pages are small."""
    yield await sync_to_async(b"".join)(pieces)


class Compressed(GZipMiddleware):
    """Compresses pages and numbers; Django pads them by a random length, so that it tells nothing of what is secret.

    Downloads are sent as they are: they run at the speed of the line, which a compressor would not.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if response.streaming else super().process_response(request, response)


def cut_off(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answers for the bodies that did not come to their end: a page, or the sentence alone for scripts."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        scope = getattr(request, "scope", {})
        if REFUSED in scope:
            return refusal(request, scope[REFUSED].status, scope[REFUSED].sentence, limit=0)
        if TOO_LARGE in scope:
            most = filesizeformat(settings.JOBS_MAX_UPLOAD_BYTES)
            return refusal(request, 413, f"The file is too large: up to {most} can be sent here.")
        if TOO_SLOW in scope:
            seconds = scope[TOO_SLOW].seconds
            answer = refusal(request, 408, f"It took more than {seconds:,} seconds to send this, which is the limit.")
            # Else a client that trickles on keeps the line.
            answer["Connection"] = "close"
            return answer
        return get_response(request)

    return middleware


@receiver(user_logged_out)
def note_sign_out(request: HttpRequest | None, **about: Any) -> None:
    if request is not None:
        request.signed_out = True  # type: ignore[attr-defined]


class Private:
    """Keeps what people see out of caches, and other sites away from it.

    An answer that has said itself how it may be kept goes by that: a download may be kept by the browser alone, which
    asks each time whether it is still the same, and whether this person may have it, and drops it when they sign out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        answer.headers.setdefault("Cache-Control", "no-store")
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if getattr(request, "signed_out", False):
            # Neither "cookies", which would sign out of all that stands on the same domain, nor "storage", where the
            # choice of light or dark is; what a page notes of rows there, its own script removes.
            answer["Clear-Site-Data"] = '"cache"'
        return answer


class Readable:
    """Refuses what no text holds and PostgreSQL does not take: NUL and halves of surrogate pairs.

    What is asked for or sent is looked at by views, which know better what to say; this is for what they let through.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        headers = (value for name, value in request.META.items() if name.startswith(("HTTP_", "CONTENT_")))
        texts = chain((request.path,), headers, request.COOKIES.values())
        return unreadable(request) if any(map(odd, texts)) else self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, (ValueError, DataError)):
            return None
        sent = chain(every(request.GET), every(request.POST), map(str, request.FILES.values()))
        return unreadable(request) if any(map(odd, sent)) else None


def every(given: QueryDict) -> Iterator[str]:
    """All names and values."""
    for name, values in given.lists():
        yield name
        yield from map(str, values)


def odd(text: str) -> bool:
    return bool(ODD.search(text))


def unreadable(request: HttpRequest) -> HttpResponse:
    return refusal(request, 400, "This request cannot be read: it holds a character that no text has.")


class DiskFull:
    """Says so where there is no room for what was sent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            logger.error("No room is left: %s", error)
            return render(request, "507.html", status=507)
        return None


class Bounded:
    """Gives each request its time, and tells people where that was not enough.

    What is sent in parts needs no connection of this thread while it is sent.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.deadline = deadline = deadline_for(request)  # type: ignore[attr-defined]
        with deadline.holds():
            answer = self.get_response(request)
        if answer.streaming:
            concurrency.let_go()
        return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refusals.of_error(request, error)


def deadline_for(request: HttpRequest) -> Deadline:
    """What is only looked at is given up once nobody waits for it; what was ordered is done all the same."""
    looks = request.method in ("GET", "HEAD")
    given: Deadline | None = getattr(request, "scope", {}).get(deadlines.SCOPE) if looks else None
    deadline = given or Deadline()
    deadline.begin(settings.JOBS_PAGE_SECONDS if looks else settings.JOBS_ORDER_SECONDS)
    return deadline


class SignedIn(LoginRequiredMiddleware):
    """Nobody sees anything before they signed in. Scripts are told so, people are sent to the form and come back."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]) -> HttpResponse:  # type: ignore[override]
        form = redirect_to_login(came_from(request), self.get_login_url(view_func))
        if request.headers.get("HX-Request"):
            return HttpResponse(status=401, headers={"HX-Redirect": form.url})
        if "application/json" in request.headers.get("Accept", ""):
            return JsonResponse({"detail": "Sign in to go on."}, status=401)
        return form


def came_from(request: HttpRequest) -> str:
    """The page to return to: a fragment and the target of a form are no pages, the one that they stand on is."""
    whole_page = request.method in ("GET", "HEAD") and not request.headers.get("HX-Request")
    if whole_page:
        return request.get_full_path()
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    parts = urlsplit(page)
    return parts._replace(scheme="", netloc="", fragment="").geturl() or resolve_url(settings.LOGIN_REDIRECT_URL)
