"""The whole product in processes of its own, its jobs made by the form, its times read from its database."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import psycopg

from tests.system import System, free_port, until

T = TypeVar("T")
ENDED = ("finished", "cancelled", "invalid")
TIMES = """
SELECT MIN({finished} - i.seconds), MAX({finished}), {started}, {ended}
FROM jobs_job j JOIN jobs_item i ON i.job_id = j.id WHERE j.code = '{code}' GROUP BY j.id
"""
LOADING = """
SELECT {created}, {at} FROM jobs_job j JOIN jobs_activity a ON a.job_id = j.id
WHERE j.code = '{code}' AND a.verb = 'start'
"""


@dataclass(frozen=True, slots=True)
class Times:
    """When a job's items ran, and when the product began and closed the job; seconds since the epoch."""

    first_start: float
    last_end: float
    begun: float
    closed: float

    @property
    def items(self) -> float:
        """Seconds from the first start to the last end of an item."""
        return self.last_end - self.first_start

    @property
    def stored(self) -> float:
        """Seconds from the first start until the last item is stored and the job is closed."""
        return self.closed - self.first_start


class Product:
    """A running batchweb, signed in to as its first administrator."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.client = httpx.Client(base_url=system.url, follow_redirects=True, timeout=120)
        system.clients.append(self.client)
        self.client.get(system.link)
        wanted = int(system.env["WORKER_PROCESSES"]) + 1
        until(lambda: len(self.workers()) >= wanted and len(self.loaders()) > 1, 60, "the workers are there")

    # Jobs

    def job(self, file: Path, processor: str, **fields: object) -> str:
        """Sends the form with the file and returns the code of the new job. It starts by itself."""
        data: dict[str, Any] = {"processor": processor, **fields}
        with file.open("rb") as stream:
            answer = self.system.post(self.client, "/jobs/new/", data, {"file": (file.name, stream, "text/csv")})
        if answer.status_code != 200:
            raise AssertionError(f"There is no new job: {answer.status_code}: {answer.text[:2000]}")
        return str(answer.json()["url"].split("/")[2])

    def ready(self, file: Path, processor: str, **fields: object) -> str:
        """The code of a new job whose file was read, and that waits for its start."""
        code = self.job(file, processor, then="check", **fields)
        now_and_then(lambda: self.state(code) == "ready")
        return code

    def ended(self, code: str, within: float = 600.0) -> dict[str, int]:
        """The job's counts once it has ended."""

        def counts() -> dict[str, int] | None:
            frame = self.system.snapshot(self.client, code)
            found: dict[str, int] = frame["counts"]
            return found if frame["state"] in ENDED and not found["running"] else None

        return now_and_then(counts, within)

    def run(self, file: Path, processor: str, **fields: object) -> tuple[Times, dict[str, int]]:
        """Works a whole job off: its times and its counts."""
        code = self.job(file, processor, **fields)
        counts = self.ended(code)
        return self.times(code), counts

    def succeeded(self, count: int, file: Path, processor: str, **fields: object) -> Times:
        """The times of a job of which all `count` items must succeed."""
        times, counts = self.run(file, processor, **fields)
        if counts["succeeded"] != count:
            raise AssertionError(f"{count} items should have succeeded: {counts}")
        return times

    def loaded(self, file: Path, processor: str) -> float:
        """The seconds from the order to read the file until all of it is stored. The job is cancelled then."""
        code = self.job(file, processor)
        now_and_then(lambda: self.state(code) != "loading")
        self.system.post(self.client, f"/jobs/{code}/cancel/", {})
        self.ended(code)
        created, read = self.ask(LOADING, code)
        return read - created

    def state(self, code: str) -> str:
        return str(self.system.snapshot(self.client, code)["state"])

    def report(self, code: str) -> dict[str, Any]:
        """What was found in the job's file."""
        query = f"import json; from jobs.models import Job; print(json.dumps(Job.objects.get(code={code!r}).report))"
        return dict(json.loads(self.system.manage("shell", "-v0", "-c", query).stdout))

    # What its database knows

    def times(self, code: str) -> Times:
        return Times(*self.ask(TIMES, code))

    def ask(self, query: str, code: str) -> tuple[float, ...]:
        """The one row of times that the query gives for the job."""
        rows = self.rows(query, code)
        assert rows, f"nothing is known of job {code}"
        return tuple(map(float, rows[0]))

    def rows(self, query: str, code: str) -> list[tuple[Any, ...]]:
        """The rows that the query gives for the job; times are seconds since the epoch."""
        url = self.system.env.get("DATABASE_URL")
        moment = "EXTRACT(EPOCH FROM {})::float8" if url else "((julianday({}) - 2440587.5) * 86400)"
        columns = {"finished": "i.finished", "started": "j.started", "ended": "j.finished"}
        columns |= {"created": "j.created", "at": "a.at", "stored": "b.created"}
        text = query.format(code=code, **{name: moment.format(column) for name, column in columns.items()})
        if url:
            with psycopg.connect(url) as server:
                return server.execute(text.encode()).fetchall()
        with closing(sqlite3.connect(self.system.folder / "var" / "db.sqlite3")) as file:
            return file.execute(text).fetchall()

    # Its processes

    def workers(self) -> list[psutil.Process]:
        return self.system.processes(" -Q work ")

    def loaders(self) -> list[psutil.Process]:
        return self.system.processes(" -Q load ")


def now_and_then(answer: Callable[[], T | None], within: float = 600.0) -> T:
    """What `answer` gives once it is true. It is asked the less often the longer it takes, for asking costs too."""
    begun = time.monotonic()
    while not (got := answer()):
        waited = time.monotonic() - begun
        if waited > within:
            raise AssertionError(f"It took more than {within:g} s")
        time.sleep(min(1.0, max(0.05, waited / 10)))
    return got


@contextmanager
def product(database: str, environment: dict[str, str]) -> Iterator[Product]:
    """A product that starts now, on SQLite unless `database` is the URL of an empty one."""
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as name:
        system = System(Path(name), free_port(), database)
        system.env |= environment
        system.start()
        try:
            yield Product(system)
        finally:
            system.stop()
