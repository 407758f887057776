from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import System, free_port, running


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
