"""What people and scripts are told where a request cannot be done, in the form that they read."""

from __future__ import annotations

import logging
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from batchweb.concurrency import Full
from batchweb.deadlines import Deadline, TookTooLong

logger = logging.getLogger(__name__)

RETRY_AFTER: Final = "5"  # seconds
TOO_LONG: Final = "This took too long and was stopped. Narrow what you look for, or try again in a moment."
BUSY: Final = "The database is busy with something else, so this was not done. Try again in a moment."
AWAY: Final = "The database does not answer at the moment. No result is lost. Try again in a moment."
CANCELLED: Final = "57014"
LOCKED: Final = ("55P03", "40P01", "40001")  # too long, in a circle, or two that cannot both be
SQLITE_LOCKED: Final = (5, 6)


def refusal(request: HttpRequest, status: int, sentence: str, limit: int | None = None) -> HttpResponse:
    """The sentence as a page, or alone for scripts; `limit` is how many bytes a file may have, where that is why."""
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"detail": sentence}, status=status)
    context = {"limit": settings.JOBS_MAX_UPLOAD_BYTES if limit is None else limit, "sentence": sentence}
    # Without what the request knows: that may take the database once more, which may be what is in trouble.
    return HttpResponse(render_to_string(f"{status}.html", context), status=status)


def later(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    answer = refusal(request, status, sentence)
    answer["Retry-After"] = RETRY_AFTER
    return answer


def of_error(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """What is told of an error that is nobody's mistake and may pass; None where it is another one."""
    if isinstance(error, Full):
        return later(request, 429, str(error))
    deadline = deadline_of(request)
    sentence = said(error, deadline)
    if not sentence:
        return None
    # People turn to another page before one has come, and that is no trouble.
    level = logging.DEBUG if deadline and deadline.hung_up else logging.WARNING
    logger.log(level, "%s %r was not done: %s (%s)", request.method, request.path[:200], sentence, reason(error))
    answer = later(request, 503, sentence)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # else Django adds a line, perhaps with a traceback
    return answer


def said(error: BaseException | None, deadline: Deadline | None) -> str:
    """The sentence for it; nothing where the database is not to blame."""
    if isinstance(error, TookTooLong):
        return TOO_LONG
    if not isinstance(error, (OperationalError, InterfaceError)):
        return ""
    cause = error.__cause__
    state, code = getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorcode", 0)
    if state == CANCELLED or (deadline and deadline.over):
        return TOO_LONG
    if state in LOCKED or code & 0xFF in SQLITE_LOCKED:
        return BUSY
    # A connection that cannot be made or has broken has no code of a statement; what SQLite says otherwise is a defect.
    return AWAY if not code and (state is None or state.startswith(("08", "57P"))) else ""


def deadline_of(request: HttpRequest) -> Deadline | None:
    return getattr(request, "deadline", None)


def reason(error: BaseException | None) -> str:
    """In one line, without what a statement held."""
    return " ".join(str(error).split())[:200] or type(error).__name__
