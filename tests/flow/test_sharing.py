"""A small job gets its turn beside a large one, whoever owns it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.system import System, csv_of, until

pytestmark = pytest.mark.flow
SOON = 15.0  # seconds; a turn takes up to ten


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process is free to take what comes later."""
    monkeypatch.setenv("WORKER_PROCESSES", "1")


def test_it_lets_small_jobs_pass_a_large_one(one_worker: None, own_system: System, tmp_path: Path) -> None:
    own_system.person("omar")
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    large.write_text(csv_of(20_000))
    small.write_text(csv_of(10))
    admin, omar = own_system.client(), own_system.client("omar")
    first = own_system.submit(large, "--param", "seconds=0.05", "--workers", "5")
    until(lambda: own_system.snapshot(admin, first)["counts"]["succeeded"], 30, "the large job is under way")
    for client, owner in ((admin, []), (omar, ["--user", "omar"])):
        code = own_system.submit(small, *owner)
        begun = time.monotonic()
        assert own_system.ended(client, code, SOON)["counts"]["succeeded"] == 10
        print(f"{time.monotonic() - begun:.2f} s")
    going = own_system.snapshot(admin, first)
    assert (going["state"], going["counts"]["failed"]) == ("running", 0)
    own_system.post(admin, f"/jobs/{first}/cancel/", {})
    own_system.ended(admin, first)
    own_system.check()
