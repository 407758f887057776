"""Log lines without secrets, one for each record."""

from __future__ import annotations

import logging
import os
import re
from functools import lru_cache
from urllib.parse import unquote

from django.conf import settings

from batchweb.log import SECRETS, escaped
from jobs.engine import redaction

NAMES = ("SECRET_KEY", "LLM_API_KEY", "OIDC_CLIENT_SECRET")
URLS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL")
SHORTEST = 6  # shorter ones are part of ordinary words
TRACE = "  | "


class Formatter(logging.Formatter):
    """Leaves out sign-in tokens, passwords in URLs, and the secrets of this process wherever they turn up.

    These are its own and those of the jobs that it works on, which libraries may log from any thread. Each record is
    one line, whatever names and texts it holds; the lines of its trace are set apart, so that none looks like a record.
    When it was written, how grave it is and by whom stays, whatever people call a secret.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = redacted(record.message)
        return escaped(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        message, newline, trace = super().format(record).partition("\n")
        if not newline:
            return message
        return "\n".join([message, *(TRACE + escaped(line) for line in redacted(trace).split("\n"))])


class RefusedWithoutTrace(logging.Filter):
    """A request that is refused, or an answer that is cut off with reason, is nobody's defect: its trace tells nothing,
    and anybody could fill the log with it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if getattr(error, "expected", False):
            record.msg, record.args, record.exc_info = str(error), (), None
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True


def redacted(text: str) -> str:
    return redaction.everywhere(blotter(frozenset(known())).redact(SECRETS.sub(r"\1…", text)))


@lru_cache(maxsize=8)
def blotter(secrets: frozenset[str]) -> redaction.Redactor:
    return redaction.Redactor(secrets, "…")


def known() -> set[str]:
    """The secrets in the environment and in the settings, which may have read them from files."""
    values = [os.environ.get(name, "") for name in NAMES]
    values += [password(os.environ.get(name, "")) for name in URLS]
    if settings.configured:
        values += [settings.SECRET_KEY, *settings.SECRETS_KEYS]
    return {spelled for value in values for spelled in (value, unquote(value)) if len(spelled) >= SHORTEST}


def password(url: str) -> str:
    match = re.search(r"://[^/@:]*:([^/@]+)@", url)
    return match.group(1) if match else ""
