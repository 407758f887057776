"""Log lines without secrets."""

from __future__ import annotations

import logging
import os
import re

from batchweb.log import SECRETS

NAMES = ("SECRET_KEY", "LLM_API_KEY")
URLS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL")
SHORTEST = 6  # shorter ones are part of ordinary words


class Formatter(logging.Formatter):
    """Leaves out sign-in tokens, passwords in URLs, and the secrets of this process wherever they turn up."""

    def format(self, record: logging.LogRecord) -> str:
        text = SECRETS.sub(r"\1…", super().format(record))
        for secret in known():
            text = text.replace(secret, "…")
        return text


def known() -> set[str]:
    """The secrets in the environment."""
    values = [os.environ.get(name, "") for name in NAMES]
    values += [password(os.environ.get(name, "")) for name in URLS]
    return {value for value in values if len(value) >= SHORTEST}


def password(url: str) -> str:
    match = re.search(r"://[^/@]*:([^/@]+)@", url)
    return match.group(1) if match else ""
