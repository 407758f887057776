"""The web server goes and comes back before the eyes of many."""

from __future__ import annotations

import time

import pytest

from tests.faults.case import Case
from tests.faults.rig import Viewer
from tests.system import until

pytestmark = pytest.mark.faults
MANY = 50
AGAIN = 10.0  # seconds until everybody is connected again


def test_it_brings_50_viewers_back(case: Case) -> None:
    """Web server killed and started again with 50 viewers"""
    crowd = Viewer(case.system.url, case.system.admin.cookies["batchweb_session"], MANY)
    case.system.viewers.append(crowd)
    case.begin(seconds=0.4)
    until(lambda: all(page["connected"] for page in crowd.says()), 20, "everybody is connected")
    case.moment(0.2, 0.5)
    case.system.web.kill()
    case.system.web.start()
    until(case.system.web_answers, 30)
    returned = time.monotonic()

    def connected() -> float | None:
        everybody = all(page["connected"] > 1 for page in crowd.says())
        return time.monotonic() - returned if everybody else None

    try:
        case.recovers(AGAIN, connected)
        case.expect()
    finally:
        case.system.viewers.remove(crowd)
        crowd.close()
