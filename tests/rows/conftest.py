from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs import dispatch


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
    monkeypatch.setattr(dispatch, "send", lambda name, *args: names.append(name) or True)
    return names
