"""A backup of a running system, brought back to life elsewhere, by the very commands of the README."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.postgres import installed, packaged
from tests.system import ROOT, System, csv_of, database, free_port, until

pytestmark = pytest.mark.flow
ITEMS = 300
# SQLite's own program is not on every machine; what it does is its library's doing.
SQLITE = f"""#!{sys.executable}
import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute(sys.argv[2])
"""


def described(first: str) -> list[str]:
    """The two commands on the line of the README that begins so: one for the database, one for the files."""
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(first)]
    return line.partition("  #")[0].split(" && ")


def programs(folder: Path) -> str:
    """PATH with sqlite3, pg_dump and pg_restore."""
    (program := folder / "sqlite3").write_text(SQLITE)
    program.chmod(0o755)
    return f"{folder}:{packaged() or installed()}:{os.environ['PATH']}"


def run(system: System, path: str, command: str) -> None:
    """Runs it where the system's data are."""
    subprocess.run(command, shell=True, check=True, timeout=60, cwd=system.folder, env=system.env | {"PATH": path})


def under_way(system: System, folder: Path) -> str:
    client = system.client()
    (file := folder / "rows.csv").write_text(csv_of(ITEMS))
    code = system.submit(file, "--param", "seconds=0.1", "--workers", "5")
    until(lambda: system.snapshot(client, code)["counts"]["succeeded"] > 20, 30, "the job is under way")
    return code


def upload(system: System) -> str:
    """The code of a job that somebody makes now, on the page."""
    fields = {"processor": "simulate", "workers": "1", "attempts": "1", "timeout": "60"}
    made = system.post(system.client(), "/jobs/new/", fields, {"file": ("late.csv", csv_of(3).encode(), "text/csv")})
    return str(made.json()["url"].split("/")[2])


def missing(system: System) -> str:
    """How many uploads have no file."""
    gone = "sum(not one.file.storage.exists(one.file.name) for one in Upload.objects.all())"
    made = system.manage("shell", "-c", f"from jobs.models import Upload; print({gone})")
    return made.stdout.strip().splitlines()[-1]


def test_it_goes_on_from_a_backup_of_a_running_system(hasty: None, own_system: System, tmp_path: Path) -> None:
    path = programs(tmp_path)
    kind = ("pg_dump", "pg_restore") if own_system.env.get("DATABASE_URL") else ("sqlite3", "cp backup.sqlite3")
    store, copy = described(kind[0])
    code = under_way(own_system, tmp_path)
    run(own_system, path, store)
    late = upload(own_system)
    run(own_system, path, copy)
    own_system.stop()
    with database() as url:
        other = System(tmp_path / "other", free_port(), url)
        (other.folder / "var").mkdir(parents=True)
        for made in own_system.folder.glob("backup*"):
            shutil.move(made, other.folder)
        for command in described(kind[1]):
            run(other, path, command)
        before = other.stored(code, tmp_path / "before.csv")
        assert missing(other) == "0"
        other.start()
        try:
            client = other.client()
            other.ended(client, code, 90)
            page = client.get(f"/jobs/{code}/").text
            assert client.get(f"/jobs/{late}/").status_code == 404
            other.check()
        finally:
            other.stop()
        after = other.stored(code, tmp_path / "after.csv")
    assert "went silent; " in page
    assert ITEMS == len(after) > len(before) > 20
    assert {row: after[row] for row in before} == before
