from __future__ import annotations

from jobs import tasks
from jobs.models import Job
from tests.base import People, csv_of, loaded
from tests.management.terminals import run


class TryTests(People):
    """`manage.py try CODE`."""

    def ready(self, fate: str = "ok") -> Job:
        return loaded(self.alice, csv_of(30, lambda at: fate), start=False)

    def test_it_tries_the_first_rows(self) -> None:
        job = self.ready()
        assert run("try", job.code, "--count", "3").out.strip() == "Trying 3 rows."
        tasks.work()
        job.refresh_from_db()
        assert (job.state, job.counts()["succeeded"]) == ("ready", 3)

    def test_it_tries_chosen_rows(self) -> None:
        job = self.ready()
        run("try", job.code, "--rows", "2, 30, 5-7")
        assert job.runs.get().positions == [1, 4, 5, 6, 29]

    def test_it_says_what_it_wants(self) -> None:
        job = self.ready()
        for rows in ("last", "3-1", "-1", "", "9" * 30):
            done = run("try", job.code, f"--rows={rows}")
            assert (done.status, "Name some like this" in done.err or "counted from 1" in done.err) == (2, True), rows

    def test_it_refuses_rows_that_are_not_there(self) -> None:
        done = run("try", self.ready().code, "--rows", "31, 999999999")
        assert done.status == 2
        assert done.err == "There is no row 31: the job has 30."

    def test_it_refuses_more_than_a_trial_takes(self) -> None:
        done = run("try", self.ready().code, "--count", "9" * 30)
        assert (done.status, done.err[:36]) == (2, "A trial takes from 1 to 100 rows, no")

    def test_it_exits_as_the_rows_ended(self) -> None:
        for fate, status in (("ok", 0), ("fail:Gone", 1)):
            assert run("try", self.ready(fate).code, "--count", "2", "--watch").status == status

    def test_it_runs_the_rest(self) -> None:
        job = self.ready()
        run("try", job.code, "--count", "3", "--watch")
        done = run("start", job.code, "--watch")
        job.refresh_from_db()
        assert (done.status, done.out.strip(), job.counts()["succeeded"]) == (0, "Started.", 30)
        assert job.runs.get(kind="first").items == 27
