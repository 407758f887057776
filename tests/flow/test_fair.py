"""One person asks for all that is expensive at once; the pages of another one come as before."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.system import ROOT, System, csv_of, until

pytestmark = pytest.mark.flow
LARGE = 900_000  # characters of a cell
ROWS = 100
PATTERN = "a" * 199 + "b"
ASKED = 160  # pages of the other person
BOUND = 5.0  # seconds; far above what is seen on a busy machine, far below how long everybody waited without limits
REFUSED = {"429", "503"}


def job_of(system: System, client: httpx.Client, rows: str) -> str:
    fields = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "param_seconds": "0"}
    made = system.post(client, "/jobs/new/", fields, {"file": ("rows.csv", rows.encode(), "text/csv")})
    assert made.status_code == 200, made.text[:500]
    code = str(made.json()["url"].split("/")[2])
    system.ended(client, code, 180)
    return code


def percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def pages(client: httpx.Client, code: str) -> list[float]:
    """How long each page took, in seconds."""
    took = []
    for at in range(ASKED):
        path = ("/", f"/jobs/{code}/", f"/jobs/{code}/items/?state=succeeded", "/healthz")[at % 4]
        begun = time.monotonic()
        answer = client.get(path)
        took.append(time.monotonic() - begun)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
        time.sleep(0.05)
    return took


@contextmanager
def crowd(system: System, client: httpx.Client, *orders: str) -> Iterator[dict[str, dict[str, int]]]:
    """One person's many clients, until the block is left; then what came of each kind of request."""
    came: dict[str, dict[str, int]] = {}
    cookie = f"batchweb_session={client.cookies['batchweb_session']}"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flow.crowd", system.url, cookie, *orders],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield came
        finally:
            came |= json.loads(process.communicate(timeout=60)[0] or "{}")


def test_it_serves_others_while_one_person_asks_for_everything(own_system: System) -> None:
    own_system.person("mallory")
    own_system.person("alice")
    mallory, alice = own_system.client("mallory"), own_system.client("alice")
    heavy = job_of(own_system, mallory, "name,simulate\n" + f"{'a' * LARGE},ok\n" * ROWS)
    long = job_of(own_system, mallory, csv_of(20_000))
    mine = job_of(own_system, alice, csv_of(200))
    calm = percentile(pages(alice, mine))
    search, export = f"/jobs/{heavy}/items/?q={PATTERN}", f"/jobs/{long}/results.xlsx"
    with crowd(own_system, mallory, f"search:25:{search}", f"export:50:{export}") as came:
        time.sleep(3)  # it takes a moment until all are there
        busy = percentile(pages(alice, mine))
    print(f"\np99 of a page: {calm:.3f} s, meanwhile {busy:.3f} s ({busy / calm:.1f} times); {came}")
    assert busy < BOUND
    assert came["export"].get("200")
    assert set(came["export"]) <= {"200", *REFUSED}
    assert set(came["search"]) <= {"200", "hung up", *REFUSED}
    until(lambda: own_system.again(mallory).get(search).status_code == 200, 60, "nothing of it is left")
