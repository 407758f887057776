from __future__ import annotations

from jobs import actions, tasks
from jobs.export import results
from jobs.maintenance import invariants
from jobs.models import Item, JobState
from tests.base import People, csv_of, lines, states, worked


class WorkTests(People):
    def test_it_finishes_a_job(self) -> None:
        job = worked(self.alice, csv_of(50))
        assert job.state == JobState.FINISHED
        assert states(job) == ["succeeded"] * 50
        assert list(invariants.differences(job)) == []

    def test_it_fails_the_failing_items_alone(self) -> None:
        job = worked(self.alice, csv_of(40, lambda at: "fail:ValueError" if at % 4 == 1 else "ok"))
        assert states(job) == ["failed" if at % 4 == 1 else "succeeded" for at in range(40)]
        assert list(invariants.differences(job)) == []

    def test_it_runs_exactly_the_failed_items_again(self) -> None:
        job = worked(self.alice, csv_of(40, lambda at: "fail:ValueError" if at % 4 == 1 else "ok"))
        before = dict(Item.objects.filter(job=job).values_list("position", "attempts"))
        assert actions.retry(job, self.alice) == 10
        tasks.work()
        after = dict(Item.objects.filter(job=job).values_list("position", "attempts"))
        assert {p for p in after if after[p] > before[p]} == set(range(1, 40, 4))
        assert list(invariants.differences(job)) == []

    def test_it_writes_every_row_in_order(self) -> None:
        job = worked(self.alice, csv_of(30))
        assert [line.split(",")[0] for line in lines(results.chunks(job, "csv"))[1:]] == [
            f"item {i}" for i in range(30)
        ]
