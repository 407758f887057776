"""A backup of a running system, brought back to life elsewhere: what the README says to do."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.services.postgres import installed, packaged
from tests.system import System, csv_of, database, free_port, until

pytestmark = pytest.mark.flow
ITEMS = 300


def back_up(system: System, to: Path) -> None:
    """First the database, then the files."""
    var = system.folder / "var"
    if url := system.env.get("DATABASE_URL"):
        run("pg_dump", "--format=custom", f"--file={to / 'backup.dump'}", url)
    else:
        with closing(sqlite3.connect(var / "db.sqlite3")) as stored:
            stored.execute("VACUUM INTO ?", [str(to / "backup.sqlite3")])
    shutil.copytree(var / "uploads", to / "uploads")


def restore(backup: Path, system: System) -> None:
    var = system.folder / "var"
    var.mkdir(parents=True)
    if url := system.env.get("DATABASE_URL"):
        run("pg_restore", f"--dbname={url}", str(backup / "backup.dump"))
    else:
        shutil.copy(backup / "backup.sqlite3", var / "db.sqlite3")
    shutil.copytree(backup / "uploads", var / "uploads")


def run(program: str, *arguments: str) -> None:
    folder = packaged() or installed()
    assert folder
    subprocess.run([folder / program, *arguments], check=True, timeout=60)


def test_it_goes_on_from_a_backup_of_a_running_system(own_system: System, tmp_path: Path) -> None:
    client = own_system.client()
    (file := tmp_path / "rows.csv").write_text(csv_of(ITEMS))
    code = own_system.submit(file, "--param", "seconds=0.1", "--workers", "5")
    until(lambda: own_system.snapshot(client, code)["counts"]["succeeded"] > 20, 30, "the job is under way")
    (backup := tmp_path / "backup").mkdir()
    back_up(own_system, backup)
    assert own_system.snapshot(client, code)["state"] == "running"
    own_system.stop()
    with database() as url:
        other = System(tmp_path / "other", free_port(), url)
        restore(backup, other)
        other.start()
        try:
            frame = other.ended(other.client(), code, 90)
            assert (frame["counts"]["succeeded"], frame["total"]) == (ITEMS, ITEMS)
            other.check(code)
        finally:
            other.stop()
