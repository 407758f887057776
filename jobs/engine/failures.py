"""Exceptions made into plain text, whatever the exception does to prevent it."""

from __future__ import annotations

import re
import traceback

from jobs.engine.redaction import NOTHING, Redactor
from jobs.engine.types import TIMEOUT, Failure

MESSAGE_BYTES = 2_000
TRACE_BYTES = 8_000
KIND_BYTES = 200
PART = 2_500  # of a trace: an error with its message, or one call
# The innermost calls that a trace shows. An exception object that is raised again and again collects thousands.
FRAMES = 50

_SURROGATE = re.compile("[\ud800-\udfff]")


def describe(error: BaseException, redactor: Redactor = NOTHING) -> Failure:
    """The failure that an exception stands for, without secrets, which go before anything is cut. Never raises."""
    trace = clip(_trace(error, redactor), TRACE_BYTES, keep_end=True)
    message = redactor.cut(_message(error), MESSAGE_BYTES)
    return Failure(kind_of(error, redactor), clip(message, MESSAGE_BYTES), trace)


def too_long(limit: float) -> Failure:
    """The failure of an attempt that took longer than `limit` seconds."""
    return Failure(TIMEOUT, f"Took longer than {limit:g} seconds.", "")


def kind_of(error: BaseException, redactor: Redactor = NOTHING) -> str:
    """The exception's `failure_kind` if it names one, else the name of its class."""
    try:
        kind = getattr(error, "failure_kind", None)
    except BaseException:
        kind = None
    name = kind if isinstance(kind, str) and kind else type(error).__name__
    return clip(redactor.cut(str.__str__(name), KIND_BYTES), KIND_BYTES)


def clip(text: str, size: int, *, keep_end: bool = False) -> str:
    """The text in at most `size` bytes of UTF-8, free of what databases refuse (NUL and lone surrogates)."""
    raw = _SURROGATE.sub("\ufffd", text.replace("\0", "\u2400")).encode()
    if len(raw) <= size:
        return raw.decode()
    room = size - len("…".encode())
    kept = raw[len(raw) - room :] if keep_end else raw[:room]
    piece = kept.decode("utf-8", "ignore")
    return "…" + piece if keep_end else piece + "…"


def _message(error: BaseException) -> str:
    try:
        # str() may hand back a subclass with habits of its own; a plain copy has none.
        return str.__str__(str(error))
    except BaseException:
        return f"<{type(error).__name__} that cannot be printed>"


def _trace(error: BaseException, redactor: Redactor) -> str:
    # Frames of the engine say nothing to a person, so the trace starts where the user's code was called.
    place = error.__traceback__
    while place is not None and place.tb_frame.f_globals.get("__name__", "").startswith("jobs.engine."):
        place = place.tb_next
    try:
        parts = traceback.format_exception(type(error), error, place, limit=-FRAMES)
        return "".join(_part(part, redactor) for part in parts)
    except BaseException:
        return ""


def _part(part: str, redactor: Redactor) -> str:
    """A part of a trace without its middle where it is so long that it would leave no room for where it happened."""
    if len(part.encode(errors="replace")) <= PART:
        return redactor.redact(part)
    end = redactor.cut(part, PART // 5, keep_end=True)
    return clip(redactor.cut(part, PART), PART) + clip(end, PART // 5, keep_end=True)
