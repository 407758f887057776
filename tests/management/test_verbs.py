"""The verbs of a job's page, from a terminal."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

from jobs.models import Item, Job, JobState, Shard
from tests.base import People, csv_of, loaded, states, worked
from tests.management.terminals import run


def failing(at: int) -> str:
    return "fail:Broken" if at % 3 == 0 else "fail:Other" if at == 1 else "ok"


class VerbTests(People):
    def state(self, job: Job) -> str:
        job.refresh_from_db()
        return job.state

    def test_it_pauses_resumes_and_cancels(self) -> None:
        job = loaded(self.alice)
        for verb, said, state in (
            ("pause", "Paused.\n", JobState.PAUSED),
            ("resume", "Resumed.\n", JobState.QUEUED),
            ("cancel", "Cancelled.\n", JobState.CANCELLED),
        ):
            done = run(verb, job.code)
            assert (done.status, done.out, self.state(job)) == (0, said, state)

    def test_it_says_why_not(self) -> None:
        job = worked(self.alice)
        for verb, sentence in (
            ("pause", "Only a job that waits or runs can be paused."),
            ("resume", "Only a paused or cancelled job can be resumed."),
            ("cancel", "The job has ended already."),
            ("retry", "There is no failed item to try again."),
        ):
            done = run(verb, job.code)
            assert (done.status, done.err) == (2, sentence)

    def test_it_knows_a_job_by_its_address(self) -> None:
        job = loaded(self.alice)
        assert run("pause", f"http://127.0.0.1:8000/jobs/{job.code}/").status == 0

    def test_it_says_that_there_is_no_such_job(self) -> None:
        for verb in ("pause", "resume", "cancel", "retry", "check_invariants"):
            done = run(verb, "nosuchjob")
            assert (done.status, done.err) == (2, "There is no job nosuchjob.")

    def test_it_retries_the_failed_items(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        assert run("retry", job.code).out == "4 items queued again.\n"
        assert states(job).count("pending") == 4

    def test_it_retries_the_items_of_one_cause(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        cause = job.causes.get(kind="Other")
        assert run("retry", job.code, "--cause", str(cause.pk)).out == "1 item queued again.\n"
        assert states(job)[1] == "pending"

    def test_it_retries_the_chosen_rows_with_other_dials(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        done = run("retry", job.code, "--rows", "1-3,7", "--workers", "3", "--rate", "2", "--param", "seconds=0")
        assert done.out == "3 items queued again.\n"
        assert [at for at, state in enumerate(states(job)) if state == "pending"] == [0, 1, 6]
        job.refresh_from_db()
        assert (job.workers, job.rate, job.parameters["seconds"]) == (3, 2.0, 0)

    def test_it_says_why_it_retries_nothing(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        for option, value, start in (
            ("--rows", "9", "There is no row 9: the job has 7."),
            ("--rows", "x", "“x” names no rows."),
            ("--cause", "99", "This job has no such cause."),
            ("--workers", "0", "--workers 0: "),
            ("--param", "odd", "--param wants NAME=VALUE"),
            ("--param", "odd=1", "simulate has no parameter"),
        ):
            done = run("retry", job.code, option, value)
            assert (done.status, done.err[: len(start)]) == (2, start)
        assert "pending" not in states(job)

    def test_it_accepts_failures_and_takes_that_back(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        assert run("accept", job.code, "--rows", "1-2").out == "2 items accepted.\n"
        assert run("accept", job.code).out == "2 items accepted.\n"
        cause = str(job.causes.get(kind="Other").pk)
        assert run("accept", job.code, "--cause", cause, "--undo").out == "1 item no longer accepted.\n"
        assert list(job.items.exclude(accepted=None).values_list("position", flat=True)) == [0, 3, 6]

    def test_it_watches_a_retry_to_its_end(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        done = run("retry", job.code, "--watch")
        assert (done.status, done.out) == (1, "4 items queued again.\n")
        assert done.err == "Finished with failures: 3 succeeded, 4 failed of 7.\n"

    def test_it_watches_what_goes_on_to_its_end(self) -> None:
        job = loaded(self.alice)
        run("pause", job.code)
        assert run("resume", job.code, "--watch").status == 0
        assert self.state(job) == JobState.FINISHED


class ResultTests(People):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.job = worked(self.alice, csv_of(7, failing))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def test_it_writes_the_result_by_its_suffix(self) -> None:
        for name, start in (
            ("a.csv", b"name,"),
            ("a.jsonl", b'{"row"'),
            ("a.NDJSON", b'{"row"'),
            ("a.json", b'[\n{"row"'),
            ("a.XLSX", b"PK"),
            ("a", b"name,"),
        ):
            done = run("results", self.job.code, str(self.folder / name))
            assert (done.status, done.out) == (0, "Finished with failures: 3 succeeded, 4 failed of 7.\n")
            assert (self.folder / name).read_bytes().startswith(start), name

    def test_it_writes_the_chosen_rows(self) -> None:
        out = self.folder / "out.csv"
        run("results", self.job.code, str(out), "--state", "succeeded", "--rows", "1-5")
        assert self.firsts(out) == ["item 2", "item 4"]
        cause = str(self.job.causes.get(kind="Broken").pk)
        assert run("failed", self.job.code, str(out), "--cause", cause, "--rows", "1-4").out == "2 failed rows.\n"
        assert self.firsts(out) == ["item 0", "item 3"]

    def firsts(self, out: Path) -> list[str]:
        return [row.split(",")[0] for row in out.read_text().splitlines()[1:]]

    def test_it_says_which_rows_there_are_not(self) -> None:
        wrong = (("results", "--state", "odd"), ("results", "--rows", "99"), ("failed", "--cause", "x"))
        for name, option, value in wrong:
            done = run(name, self.job.code, str(self.folder / "out.csv"), option, value)
            assert done.status == 2, option
            assert done.err.startswith(("There is no", "This job has no")), option
        assert self.names() == []

    def test_it_writes_the_failed_rows(self) -> None:
        out = self.folder / "failed.csv"
        assert run("failed", self.job.code, str(out)).out == "4 failed rows.\n"
        assert len(out.read_text().splitlines()) == 5

    def test_it_keeps_the_old_file_when_it_cannot_write_the_new_one(self) -> None:
        out = self.folder / "out.csv"
        out.write_text("old")
        with patch("jobs.export.results.files.Table", side_effect=ValueError), self.assertRaises(ValueError):
            run("results", self.job.code, str(out))
        assert (out.read_text(), self.names()) == ("old", ["out.csv"])

    def test_it_follows_a_link(self) -> None:
        (self.folder / "real.csv").write_text("old")
        (self.folder / "link.csv").symlink_to(self.folder / "real.csv")
        run("results", self.job.code, str(self.folder / "link.csv"))
        assert (self.folder / "link.csv").is_symlink()
        assert (self.folder / "real.csv").read_text().startswith("name,")

    def test_it_never_replaces_what_is_no_file(self) -> None:
        assert run("results", self.job.code, "/dev/null").status == 0
        assert Path("/dev/null").is_char_device()

    def test_it_says_what_cannot_be_written(self) -> None:
        for out, why in (("nowhere/out.csv", "No such file or directory"), (".", "Is a directory")):
            done = run("results", self.job.code, str(self.folder / out))
            assert done.status == 2
            assert done.err.endswith(f"cannot be written: {why}.")


class InvariantTests(People):
    def test_it_finds_nothing_wrong(self) -> None:
        job = worked(self.alice, csv_of(7, failing))
        loaded(self.bob)
        assert run("check_invariants").out == "2 jobs checked, 0 differences.\n"
        assert run("check_invariants", job.code).out == "1 job checked, 0 differences.\n"

    def test_it_says_what_is_wrong(self) -> None:
        job = worked(self.alice, csv_of(7))
        Item.objects.filter(job=job, position=3).delete()
        done = run("check_invariants")
        assert done.status == 1
        assert f"{job.code}: 6 items are stored, the job counts 7" in done.out

    def test_it_finds_every_kind_of_damage(self) -> None:
        for damage in (
            lambda job: Job.objects.filter(pk=job.pk).update(total=9),
            lambda job: Item.objects.filter(job=job, position=2).update(state=0),
            lambda job: Shard.objects.filter(job=job).update(succeeded=2, failed=5),
            lambda job: Shard.objects.filter(job=job).update(attempts=99),
            lambda job: job.causes.update(count=99),
            lambda job: Job.objects.filter(pk=job.pk).update(seq=10**6),
        ):
            job = worked(self.alice, csv_of(7, failing))
            damage(job)
            assert run("check_invariants", job.code).status == 1
