"""The main road, from a file to its result, through real processes."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.system import ROOT, Page, System, csv_of

pytestmark = pytest.mark.flow


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def failing(at: int) -> str:
    return "fail:ValueError" if at % 20 == 7 else "ok"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_it_goes_from_upload_to_result(system: System) -> None:
    client = system.client()
    made = system.post(
        client, "/jobs/new/",
        {"processor": "simulate", "workers": "10", "attempts": "1", "timeout": "60", "param_seconds": "0.002"},
        {"file": ("rows.csv", csv_of(300, failing).encode(), "text/csv")},
    )  # fmt: skip
    code = made.json()["url"].split("/")[2]
    frame = system.ended(client, code)
    counts = frame["counts"]
    assert (counts["succeeded"], counts["failed"], frame["total"]) == (285, 15, 300)
    rows = table(client.get(f"/jobs/{code}/results.csv").text)
    assert [row["name"] for row in rows] == [f"item {at}" for at in range(300)]
    assert [row["state"] for row in rows] == ["failed" if failing(at) != "ok" else "succeeded" for at in range(300)]
    assert [json.loads(line)["row"] for line in client.get(f"/jobs/{code}/results.jsonl").text.splitlines()] == list(
        range(1, 301)
    )
    system.check(code)


def test_it_retries_exactly_the_failed_items(system: System, tmp_path: Path) -> None:
    client = system.client()
    code = system.submit(write(tmp_path / "rows.csv", csv_of(1000, failing)), "--param", "seconds=0.001")
    system.ended(client, code)
    before = table(client.get(f"/jobs/{code}/results.csv").text)
    system.post(client, f"/jobs/{code}/retry/", {})
    system.ended(client, code)
    after = table(client.get(f"/jobs/{code}/results.csv").text)
    again = [row["row"] for row, old in zip(after, before, strict=True) if row["attempts"] != old["attempts"]]
    assert again == [str(at + 1) for at in range(1000) if failing(at) != "ok"]
    assert [row for row in after if row["state"] == "succeeded"] == [r for r in before if r["state"] == "succeeded"]
    system.check(code)


def test_it_serves_the_terminal(system: System, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    made = system.manage(
        "submit", str(ROOT / "samples/queries.csv"), "--processor", "rewrite-query", "--workers", "10", "--watch",
        "--results", str(out),
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert "100%" in made.stderr
    sample = table((ROOT / "samples/queries.csv").read_text())
    assert [row["query"] for row in table(out.read_text())] == [row["query"] for row in sample]
    assert all(row["result.processed_query"] for row in table(out.read_text()))


def test_it_ends_with_1_when_items_failed(system: System, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", csv_of(20, failing))
    assert system.manage("submit", str(file), "--processor", "simulate", "--watch").returncode == 1


def test_it_runs_three_jobs_of_two_people_at_once(system: System, tmp_path: Path) -> None:
    for name in ("maria", "omar"):
        system.person(name)
    file = write(tmp_path / "rows.csv", csv_of(600, failing))
    owners = ["maria", "maria", "omar"]
    with ThreadPoolExecutor(3) as pool:
        codes = list(pool.map(lambda owner: system.submit(file, "--user", owner), owners))
    maria, omar = system.client("maria"), system.client("omar")
    for owner, code in zip(owners, codes, strict=True):
        mine, other = (maria, omar) if owner == "maria" else (omar, maria)
        assert system.ended(mine, code)["counts"]["succeeded"] == 570
        assert other.get(f"/jobs/{code}/").status_code == 404
        assert other.get(f"/jobs/{code}/results.csv").status_code == 404
    listed = {row["code"] for row in omar.get("/jobs/list.json").json()["rows"]}
    assert listed == {codes[2]}
    assert "database is locked" not in system.log()
    system.check()


def test_it_gives_150_sockets_the_same_end(system: System, tmp_path: Path) -> None:
    client = system.client()
    code = system.submit(write(tmp_path / "rows.csv", csv_of(1500, failing)), "--param", "seconds=0.02")
    # Each has connections of its own, as a browser has.
    with ThreadPoolExecutor(150) as pool:
        ends = list(pool.map(lambda _: Page(system, system.again(client), code).follow(120), range(150)))
    stored = system.snapshot(client, code)
    assert {json.dumps([end["seq"], end["counts"], end["state"]]) for end in ends} == {
        json.dumps([stored["seq"], stored["counts"], "finished"])
    }


def test_it_shows_progress_while_it_runs(system: System, tmp_path: Path) -> None:
    client = system.client()
    code = system.submit(write(tmp_path / "rows.csv", csv_of(3000)), "--param", "seconds=0.05")
    page = Page(system, client, code)
    with system.socket(client, f"/ws/jobs/{code}/") as viewer:
        viewer.send(json.dumps({"t": "hello", "after": page.frame["seq"]}))
        while page.frames < 4:
            page.take(viewer.recv(60.0))
    assert page.frame["state"] == "running"
    system.post(client, f"/jobs/{code}/cancel/", {})


def test_it_reads_for_viewers_while_somebody_else_writes(own_system: System, tmp_path: Path) -> None:
    """On SQLite one may write at a time, and a viewer must not want to."""
    if own_system.env.get("DATABASE_URL"):
        pytest.skip("Here everybody may write.")
    client = own_system.client()
    code = own_system.submit(write(tmp_path / "rows.csv", csv_of(3)))
    seq = own_system.ended(client, code)["seq"]
    writer = sqlite3.connect(own_system.folder / "var" / "db.sqlite3", isolation_level=None)
    with closing(writer), own_system.socket(client, f"/ws/jobs/{code}/") as viewer:
        writer.execute("BEGIN IMMEDIATE")
        viewer.send(json.dumps({"t": "hello", "after": seq}))
        assert json.loads(viewer.recv(10.0))["state"] == "finished"
