from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db.backends.signals import connection_created

from jobs.worker import broker
from tests.system import System, free_port, running

SYSTEMS = {"flow", "browser", "faults", "attacks"}  # tests of a whole system have a database of its own


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only those tests run that may touch a row: to all others it makes no difference."""
    if os.environ.get("TEST_DATABASE") != "postgres":
        return
    kept = [item for item in items if touches_rows(item)]
    config.hook.pytest_deselected(items=[item for item in items if not touches_rows(item)])
    items[:] = kept


def touches_rows(item: pytest.Item) -> bool:
    """Whether Django or pytest-django lets the test have a database."""
    if SYSTEMS & {mark.name for mark in item.iter_markers()} or item.get_closest_marker("django_db"):
        return True
    databases = getattr(getattr(item, "cls", None), "databases", ())
    return bool(databases) or not {"db", "transactional_db"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One running batchweb for all tests that only use it."""
    with running(tmp_path_factory.mktemp("system"), free_port()) as started:
        yield started


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A batchweb for a test that breaks something."""
    with running(tmp_path, free_port()) as started:
        yield started


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


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """Making people is not what these tests are about, and a good hash takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PBKDF2PasswordHasher, "iterations", 1)
        yield


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """Closes the database connections of threads that a test let asgiref start, which nobody else can reach.

    Newer Pythons warn of those that are not closed.
    """
    made: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            made.append(connection)

    connection_created.connect(note)
    yield
    connection_created.disconnect(note)
    for connection in made:
        raw, connection.connection = connection.connection, None
        if raw is not None:
            raw.close()
