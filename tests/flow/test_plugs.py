"""Plugs that are pulled while a job runs: nothing is lost, and it goes on by itself."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import httpx
import psutil
import pytest

from tests.system import System, csv_of, until

pytestmark = pytest.mark.flow
ITEMS = 400
KILLER = 25  # amid the fifty positions that start at once


def started(system: System, folder: Path) -> tuple[str, object]:
    """A job of about ten seconds that is under way, and somebody who watches it."""
    client = system.client()
    file = folder / "rows.csv"
    file.write_text(csv_of(ITEMS))
    code = system.submit(file, "--param", "seconds=0.1", "--workers", "5")
    until(lambda: system.snapshot(client, code)["counts"]["succeeded"] > 20, 30, "the job is under way")
    return code, client


def assert_whole(system: System, client: object, code: str, within: float) -> None:
    frame = system.ended(client, code, within)  # type: ignore[arg-type]
    assert frame["counts"]["succeeded"] == ITEMS
    system.check(code)


# What is left takes eight seconds, the way back two or three; a lease would take thirty to expire.
SEEN_TO_DIE = 24


def test_it_goes_on_soon_when_the_processes_of_a_worker_die(own_system: System, tmp_path: Path) -> None:
    code, client = started(own_system, tmp_path)
    parent = min(own_system.processes("-Q work"), key=lambda process: process.create_time())
    for process in parent.children():
        process.kill()
    assert_whole(own_system, client, code, SEEN_TO_DIE)
    assert parent.is_running()


def test_it_goes_on_soon_when_a_worker_dies(own_system: System, tmp_path: Path) -> None:
    code, client = started(own_system, tmp_path)
    for process in own_system.processes("-Q work"):
        process.kill()
    assert_whole(own_system, client, code, SEEN_TO_DIE)


def test_it_counts_no_strike_against_what_hung_while_it_stopped(own_system: System, tmp_path: Path) -> None:
    code, _ = started(own_system, tmp_path)
    for process in own_system.processes("-Q work"):
        if process.parent().pid != own_system.process.pid:
            process.suspend()
    assert own_system.stop(signal.SIGTERM, within=12) == 0
    own_system.start()
    client = own_system.client()
    assert_whole(own_system, client, code, SEEN_TO_DIE)
    assert "stopped; " in client.get(f"/jobs/{code}/").text


def test_it_condemns_only_the_item_that_kills(own_system: System, tmp_path: Path) -> None:
    client = own_system.client()
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(200, lambda at: "crash" if at == KILLER else "ok"))
    code = own_system.submit(file, "--param", "seconds=0.02", "--workers", "50")
    assert own_system.ended(client, code)["counts"]["succeeded"] == 199
    ((row, kind),) = ((row["row"], row["error_kind"]) for row in failed_rows(client, code))
    assert (row, kind) == (str(KILLER + 1), "worker died")
    assert own_system.log().count("exited with 'signal 9 (SIGKILL)'") == 3
    own_system.check(code)


def failed_rows(client: httpx.Client, code: str) -> list[dict[str, str]]:
    return list(csv.DictReader(client.get(f"/jobs/{code}/failed.csv").text.splitlines()))


def test_it_survives_a_killed_valkey(own_system: System, tmp_path: Path) -> None:
    code, client = started(own_system, tmp_path)
    for process in own_system.processes("unixsocket"):
        process.kill()
    assert_whole(own_system, client, code, 60)


def test_it_survives_a_killed_web_server(own_system: System, tmp_path: Path) -> None:
    code, client = started(own_system, tmp_path)
    for process in own_system.processes("batchweb.server"):
        process.kill()
    until(lambda: answers(own_system), 30, "the web server answers again")
    assert_whole(own_system, client, code, 60)


def alive(process: psutil.Process) -> bool:
    """Whether it runs. A zombie does not: it waits for a parent that asks for its status."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def answers(system: System) -> bool:
    try:
        return httpx.get(system.url + "/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_stops_in_time_and_goes_on_later(own_system: System, tmp_path: Path) -> None:
    code, _ = started(own_system, tmp_path)
    children = psutil.Process(own_system.process.pid).children(recursive=True)
    assert own_system.stop(signal.SIGINT, within=12) == 0
    assert [child for child in children if alive(child)] == []
    own_system.start()
    assert_whole(own_system, own_system.client(), code, 60)


def test_it_leaves_nothing_behind_when_killed(hasty: None, own_system: System, tmp_path: Path) -> None:
    code, _ = started(own_system, tmp_path)
    children = psutil.Process(own_system.process.pid).children(recursive=True)
    os.kill(own_system.process.pid, signal.SIGKILL)
    own_system.process.wait()
    until(lambda: not any(map(alive, children)), 8, "every child is gone")
    own_system.start()
    assert_whole(own_system, own_system.client(), code, 90)


ROWS = 60_000


def read_on(system: System, client: httpx.Client, code: str, more_than: int, within: float) -> int:
    """How many rows are stored, once they are more than so many; the file is still being read then."""

    def total() -> int:
        frame = system.snapshot(client, code)
        assert frame["state"] == "loading"
        return int(frame["total"])

    until(lambda: total() > more_than, within, "more rows of the file are stored")
    return total()


@pytest.fixture
def finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small shards, so that a file takes some seconds to be read; and no lease expires while a test waits."""
    monkeypatch.setenv("JOBS_SHARD_SIZE", "50")
    monkeypatch.setenv("JOBS_LEASE_SECONDS", "600")


def test_it_reads_on_soon_when_the_reader_of_a_file_dies(finely: None, own_system: System, tmp_path: Path) -> None:
    client = own_system.client()
    (file := tmp_path / "rows.csv").write_text(csv_of(ROWS))
    code = own_system.submit(file)
    read_on(own_system, client, code, 0, 120)
    # First the process that reads, which its parent sees; then all, which the supervisor sees and starts anew.
    for spared in (1, 0):
        dead = sorted(own_system.processes("-Q load"), key=lambda process: process.create_time())[spared:]
        for process in dead:
            process.kill()
        psutil.wait_procs(dead, 5)
        stored = own_system.snapshot(client, code)["total"]
        read_on(own_system, client, code, stored, 120)
    until(lambda: own_system.snapshot(client, code)["state"] != "loading", 120, "the file is read")
    own_system.post(client, f"/jobs/{code}/cancel/", {})
    assert own_system.ended(client, code)["total"] == ROWS
    own_system.check(code)
