"""What a worker process may take of the machine's memory."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from jobs import tasks


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: found.append((what, limits[0])))
    return found


def test_it_bounds_the_memory_of_a_process(asked: list[tuple[int, int]], settings: Any) -> None:
    settings.JOBS_MEMORY_MB = 512
    tasks.bound_memory()
    assert asked == [(resource.RLIMIT_DATA, 512 * 1024**2)]


def test_it_sets_no_bound_where_none_is_asked_for(asked: list[tuple[int, int]], settings: Any) -> None:
    settings.JOBS_MEMORY_MB = 0
    tasks.bound_memory()
    assert asked == []
