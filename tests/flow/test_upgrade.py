"""An upgrade while a job runs: stop, migrate, start."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.system import System, csv_of, until

pytestmark = pytest.mark.flow
ITEMS = 200
BEFORE = "0002"  # the schema of an earlier version


def test_it_goes_on_after_an_upgrade(own_system: System, tmp_path: Path) -> None:
    client = own_system.client()
    (file := tmp_path / "rows.csv").write_text(csv_of(ITEMS))
    code = own_system.submit(file, "--param", "seconds=0.1", "--workers", "5")
    until(lambda: own_system.snapshot(client, code)["counts"]["succeeded"] > 20, 30, "the job is under way")
    assert own_system.stop(signal.SIGTERM) == 0
    before = own_system.stored(code, tmp_path / "before.csv")
    for version in (BEFORE, ""):
        made = own_system.manage("migrate", "jobs", *([version] if version else []))
        assert made.returncode == 0, made.stderr
    own_system.start()
    own_system.ended(own_system.client(), code)
    after = own_system.stored(code, tmp_path / "after.csv")
    assert len(after) == ITEMS > len(before)
    assert {row: after[row] for row in before} == before
    own_system.check(code)
