"""Sessions with their person, so that people see and end theirs. `SESSION_ENGINE` names this module."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as Stock
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

HOUR = 3600


class Session(AbstractBaseSession):
    """A browser that is signed in, or about to."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="sessions")
    began = models.DateTimeField(null=True)
    seen = models.DateTimeField(null=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        """Not the key, which Django would show where a person is deleted."""
        return f"session since {self.began:%d %b %Y %H:%M}" if self.began else "session of nobody yet"

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        return SessionStore

    @property
    def handle(self) -> str:
        """What names the session on a page: whoever reads its key has the session."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:32]


class SessionStore(Stock):
    """A session that ends after a time, and after a time without use.

    Both are in `expire_date`, so that whoever loads a session, a page or a socket, finds none that is over.
    """

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def get_expiry_age(self, **kwargs: Any) -> int:
        began, seen = self.get("began"), self.get("seen")
        if began is None or seen is None:
            return int(super().get_expiry_age(**kwargs))
        ends = min(began + settings.SESSION_HOURS * HOUR, seen + settings.SESSION_IDLE_HOURS * HOUR)
        return max(0, int(ends - time.time()))

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        return datetime.fromtimestamp(time.time() + self.get_expiry_age(**kwargs), UTC)

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        person = data.get(SESSION_KEY)
        row.person_id = int(person) if person else None
        row.began, row.seen = moment(data.get("began")), moment(data.get("seen"))
        row.address, row.agent = data.get("address", ""), data.get("agent", "")
        return row

    async def acreate_model_instance(self, data: dict[str, Any]) -> Session:
        return self.create_model_instance(data)


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
