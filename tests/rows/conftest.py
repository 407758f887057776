from __future__ import annotations

import os

import pytest
from django.contrib.auth.models import User

from jobs.worker import broker

# An SQLite in memory has one connection, so there is nothing to race.
collect_ignore = [] if os.environ.get("TEST_DATABASE") == "postgres" else ["test_races.py"]


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create(username="alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create(username="bob")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that would have been sent."""
    names: list[str] = []

    def send(name: str, *args: object) -> bool:
        names.append(name)
        return True

    monkeypatch.setattr(broker, "send", send)
    return names
