from __future__ import annotations

from jobs import tasks
from jobs.models import Job
from tests.base import People, csv_of, loaded
from tests.commands.terminals import run


class TryTests(People):
    """`manage.py try CODE`."""

    def ready(self, fate: str = "ok") -> Job:
        return loaded(self.alice, csv_of(30, lambda at: fate), start=False)

    def test_it_tries_the_first_rows(self) -> None:
        job = self.ready()
        assert run("try", job.code, "--count", "3").out.strip() == "Trying 3 items."
        tasks.work()
        job.refresh_from_db()
        assert (job.state, job.counts()["succeeded"]) == ("ready", 3)

    def test_it_tries_chosen_rows(self) -> None:
        job = self.ready()
        run("try", job.code, "--rows", "2, 30")
        assert job.runs.get().positions == [1, 29]

    def test_it_says_what_it_wants(self) -> None:
        job = self.ready()
        for rows in ("last", "1,,2", "1-3", "-1"):
            done = run("try", job.code, f"--rows={rows}")
            assert (done.status, "row numbers" in done.err) == (2, True)

    def test_it_exits_as_the_rows_ended(self) -> None:
        for fate, status in (("ok", 0), ("fail:Gone", 1)):
            assert run("try", self.ready(fate).code, "--count", "2", "--watch").status == status
