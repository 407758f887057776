from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.corrections.shop import DEAR, done, fine, goods
from tests.system import System, free_port


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A batchweb with a processor whose failures can be fixed, and its administrator signed in."""
    system = System(tmp_path_factory.mktemp("shop"), free_port())
    system.env["JOBS_PROCESSORS"] = "tests.browser.corrections.pricing"
    system.start()
    try:
        system.client()
        yield system
    finally:
        system.kill()


@pytest.fixture
def code(system: System) -> str:
    """A job of 30 rows that has ended: 3 are no numbers, and 6 too dear."""
    return done(system, goods(30))


@pytest.fixture(scope="session")
def many(system: System) -> str:
    """A job of 180 rows, of which 72 failed for one cause: more than a page of the table holds. Nobody changes it."""
    return done(system, goods(180, lambda at: DEAR if at % 5 < 2 else fine(at)))
