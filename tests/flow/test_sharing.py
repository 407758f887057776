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


def submit(system: System, client: httpx.Client, rows: int, seconds: float, what: str = "ok", **more: str) -> str:
    """The code of a new job, made on the page."""
    fields = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "param_seconds": str(seconds)}
    file = csv_of(rows, lambda at: what).encode()
    made = system.post(client, "/jobs/new/", fields | more, {"file": ("rows.csv", file, "text/csv")})
    return str(made.json()["url"].split("/")[2])


def test_it_lets_nobody_take_the_last_worker_process(own_system: System) -> None:
    own_system.person("omar")
    admin, omar = own_system.client(), own_system.client("omar")
    hanging = [submit(own_system, admin, 200, 1, "hang", workers="50", timeout="600") for _ in range(6)]

    def running() -> list[str]:
        return [code for code in hanging if own_system.snapshot(admin, code)["counts"]["running"]]

    until(lambda: len(running()) == 3, 60, "three of the four processes are taken")
    assert own_system.ended(omar, submit(own_system, omar, 10, 0.01))["counts"]["succeeded"] == 10
    assert len(running()) == 3
    waiting = next(code for code in hanging if code not in running())
    assert "use 3 of 4 worker processes" in own_system.snapshot(admin, waiting)["why"]
    for code in hanging:
        own_system.post(admin, f"/jobs/{code}/cancel/", {})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader may compute for less time than the first part of a large file takes."""
    monkeypatch.setenv("JOBS_READ_SECONDS", "0.05")
    monkeypatch.setenv("JOBS_SHARD_SIZE", "100000")


def test_it_gives_up_a_file_that_ends_its_readers(impatient: None, own_system: System) -> None:
    admin = own_system.client()
    code = submit(own_system, admin, 100_000, 0.01)
    until(lambda: own_system.snapshot(admin, code)["state"] == "invalid", 60, "the file is given up")
    assert own_system.snapshot(admin, code)["reason"]["code"] == "unreadable"
    assert own_system.log().count("exited with 'signal 27 (SIGPROF)'") == 3


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
