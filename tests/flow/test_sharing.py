"""Small jobs get their turn beside a large one, whoever owns them."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.system import System, csv_of, until

pytestmark = pytest.mark.flow
SOON = 15.0  # seconds; the large job's turn takes up to ten


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process is free to take what comes later."""
    monkeypatch.setenv("WORKER_PROCESSES", "1")


def submit(system: System, client: httpx.Client, rows: int, seconds: float) -> str:
    """The code of a new job, made on the page."""
    fields = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "param_seconds": str(seconds)}
    made = system.post(client, "/jobs/new/", fields, {"file": ("rows.csv", csv_of(rows).encode(), "text/csv")})
    return str(made.json()["url"].split("/")[2])


def test_it_lets_small_jobs_pass_a_large_one(one_process: None, own_system: System) -> None:
    own_system.person("omar")
    admin, omar = own_system.client(), own_system.client("omar")
    large = submit(own_system, admin, 20_000, 0.05)
    until(lambda: own_system.snapshot(admin, large)["counts"]["succeeded"], 30, "the large job is under way")
    begun = time.monotonic()
    small = [(client, submit(own_system, client, 10, 0.01)) for client in (admin, omar)]
    for client, code in small:
        left = SOON - (time.monotonic() - begun)
        assert own_system.ended(client, code, left)["counts"]["succeeded"] == 10
    until(lambda: own_system.snapshot(admin, large)["counts"]["running"], 10, "the large job goes on")
    own_system.post(admin, f"/jobs/{large}/cancel/", {})
    own_system.ended(admin, large)
