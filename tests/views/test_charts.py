"""What the charts of a job's page are told."""

from __future__ import annotations

import json

from jobs.live import hub, throughput
from jobs.models import Series
from jobs.models.series import Point
from tests.base import People, csv_of, loaded, worked


class SeriesTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.job = worked(self.alice, csv_of(20))
        throughput.sample()

    def keep(self, count: int) -> list[Point]:
        points: list[Point] = [(float(at), 2.5, 0.5, 0.01, 0.2) for at in range(count)]
        Series.objects.filter(job=self.job).update(points=json.dumps(points))
        return points

    def test_it_gives_all_points(self) -> None:
        points = self.keep(300)
        told = self.client.get(f"/jobs/{self.job.code}/series.json").json()
        assert told == {"t": "series", "points": [list(point) for point in points]}

    def test_it_has_none_of_a_job_that_did_not_run(self) -> None:
        waiting = loaded(self.alice, start=False)
        assert self.client.get(f"/jobs/{waiting.code}/series.json").json()["points"] == []

    def test_it_puts_the_newest_points_into_each_frame(self) -> None:
        points = self.keep(300)
        head = hub.read_head(self.job.code, None)
        assert head
        text, _ = hub.frames(head, head.seq)
        assert json.loads(text)["points"] == [list(point) for point in points[-throughput.NEWEST :]]

    def test_it_puts_none_into_frames_where_there_are_none(self) -> None:
        head = hub.read_head(loaded(self.alice).code, None)
        assert head
        assert head.frame["points"] == []

    def test_it_stays_small(self) -> None:
        self.keep(300)
        body = self.client.get(f"/jobs/{self.job.code}/series.json").content
        assert len(body) < 20_000
