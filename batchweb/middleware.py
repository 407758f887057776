"""What every request meets on its way to a view."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render, resolve_url
from django.template.defaultfilters import filesizeformat
from django.utils.http import url_has_allowed_host_and_scheme
from whitenoise.middleware import WhiteNoiseMiddleware

from batchweb.bodies import TOO_LARGE, TOO_SLOW

logger = logging.getLogger(__name__)


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


def refusal(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"detail": sentence}, status=status)
    context = {"limit": settings.JOBS_MAX_UPLOAD_BYTES, "sentence": sentence}
    return render(request, f"{status}.html", context, status=status)


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
    return parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
