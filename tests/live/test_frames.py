"""Frames: from any number to the newest, whatever was lost, doubled or late on the way."""

from __future__ import annotations

import json
import random
from typing import cast
from unittest.mock import patch

from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import actions, events, tasks
from jobs.live import hub
from jobs.live.shapes import Frame
from jobs.models import Batch, Job, JobState, Shard
from jobs.store import items, shards
from jobs.store.outcomes import RecentRow
from tests.base import People, csv_of, loaded, worked

ITEMS = 60


class Page:
    """A page as `live.js` behaves: numbers of its own, a map of items, the snapshot where something is missing."""

    def __init__(self, job: Job) -> None:
        self.snapshots = 0
        self.fetch(job)

    def fetch(self, job: Job) -> None:
        self.snapshots += 1
        self.frame: Frame = snapshot(job)
        self.seq = self.frame["seq"]
        self.items = cells(job)

    def take(self, job: Job, text: str, binary: bytes | None) -> None:
        frame = json.loads(text)
        if frame["t"] == "resync" or frame["from"] > self.seq:
            self.fetch(job)
            return
        if frame["seq"] >= self.seq:
            self.frame, self.seq = frame, frame["seq"]
        if binary:
            _, _, since, seq = events.HEADER.unpack_from(binary)
            assert (since, seq) == (frame["from"], frame["seq"])
            self.items.update(events.decode(binary[events.HEADER.size :]))


def snapshot(job: Job) -> Frame:
    head = hub.read_head(job.code, None)
    assert head
    return head.frame


def cells(job: Job) -> dict[int, int]:
    stored = b"".join(bytes(shard.cells) for shard in Shard.objects.filter(job=job).order_by("start"))
    return {at: 3 if cell == 7 else cell for at, cell in enumerate(stored)}


def change(job: Job, chance: random.Random) -> None:
    """What a worker stores in one transaction: some items end, are tried again, or fail with a fallback."""
    (shard,) = Shard.objects.filter(job=job)
    after = bytearray(shard.cells)
    changed = {at: chance.choice((0, 2, 3, 5)) for at in chance.sample(range(ITEMS), chance.randint(1, 9))}
    for at, cell in changed.items():
        after[at] = cell
    shards.save_shard(shard.pk, after)
    items.add_batch(job.pk, events.encode(changed), cast("list[RecentRow]", [{"row": at + 1} for at in changed]))


def read(job: Job, before: hub.Head | None = None) -> hub.Head:
    head = hub.read_head(job.code, before)
    assert head
    return head


class FrameTests(People):
    def setUp(self) -> None:
        self.job = loaded(self.alice, csv_of(ITEMS))

    def test_it_ends_where_the_database_is_whatever_is_lost(self) -> None:
        for seed in range(40):
            chance = random.Random(seed)
            head, page = read(self.job), Page(self.job)
            since = page.seq
            for _ in range(chance.randint(1, 25)):
                change(self.job, chance)
                if chance.random() < 0.1:
                    Batch.objects.filter(job=self.job, seq__lte=head.seq + 1).delete()
                if chance.random() < 0.2:
                    self.job.announce(delta=chance.choice((b"", None)))
                if chance.random() < 0.5:  # otherwise the wake-up was lost
                    head = read(self.job, chance.choice((head, None)))
                    page.take(self.job, *hub.frames(head, min(since, head.seq)))
                    since = chance.choice((head.seq, since, page.seq))  # a page that comes back says where it is
            head = read(self.job, head)
            page.take(self.job, *hub.frames(head, min(since, head.seq)))
            assert page.items == cells(self.job), seed
            assert page.frame["counts"] == snapshot(self.job)["counts"], seed

    def test_it_does_no_harm_to_repeat_a_frame(self) -> None:
        page, chance = Page(self.job), random.Random(1)
        change(self.job, chance)
        frames = hub.frames(read(self.job), page.seq)
        for _ in range(3):
            page.take(self.job, *frames)
        assert (page.items, page.snapshots) == (cells(self.job), 1)

    def test_it_passes_over_a_frame_that_comes_late(self) -> None:
        page, chance = Page(self.job), random.Random(2)
        change(self.job, chance)
        early = hub.frames(read(self.job), page.seq)
        change(self.job, chance)
        page.take(self.job, *hub.frames(read(self.job), page.seq))
        before = page.frame
        page.take(self.job, early[0], None)
        assert page.frame == before

    def test_it_says_which_items_the_newest_are(self) -> None:
        since = self.job.seq
        tasks.work()
        rows = json.loads(hub.frames(read(self.job), since)[0])["rows"]
        assert rows
        assert all(row["label"] == f"item {row['row'] - 1}" and row["at"] for row in rows)

    def test_it_asks_once_which_items_they_are(self) -> None:
        tasks.work()
        head = read(self.job)
        with CaptureQueriesContext(connection) as queries:
            read(self.job, head)
        assert not [query for query in queries if "payload" in query["sql"]]

    def test_it_merges_the_changes_of_many_batches(self) -> None:
        since = self.job.seq
        for cell in (5, 3, 2):
            items.add_batch(self.job.pk, events.encode({4: cell, 9: 2}), [])
        _, binary = hub.frames(read(self.job), since)
        assert binary
        assert list(events.decode(binary[events.HEADER.size :])) == [(4, 2), (9, 2)]

    def test_it_shows_the_newest_rows_first(self) -> None:
        assert self.rows(2, 10) == [19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]

    def test_it_shows_a_sample_of_many_rows(self) -> None:
        assert self.rows(4, 10) == self.rows(1, 40) == [39, 38, 37, 36, 35, 34, 33, 32]

    def rows(self, batches: int, each: int) -> list[int]:
        """Those in the frame after so many batches of rows, which are numbered as they finish."""
        since = read(self.job).seq
        for at in range(batches):
            items.add_batch(
                self.job.pk, b"", cast("list[RecentRow]", [{"row": each * at + n} for n in reversed(range(each))])
            )
        return [row["row"] for row in json.loads(hub.frames(read(self.job), since)[0])["rows"]]

    def test_it_asks_for_the_snapshot_where_batches_are_gone(self) -> None:
        change(self.job, random.Random(3))
        Batch.objects.filter(job=self.job).delete()
        change(self.job, random.Random(4))
        assert self.resyncs(1)
        assert not self.resyncs(self.job.seq + 1)

    def test_it_asks_for_the_snapshot_after_a_change_without_a_list(self) -> None:
        since = self.job.seq
        self.job.announce(delta=None)
        assert self.resyncs(since)

    def test_it_asks_for_the_snapshot_after_too_many_changes(self) -> None:
        since = self.job.seq
        change(self.job, random.Random(5))
        with patch.object(hub, "CHANGES", 0):
            assert self.resyncs(since)

    def test_it_asks_whoever_is_far_behind(self) -> None:
        since = self.job.seq
        for _ in range(12):
            change(self.job, random.Random(6))
        with patch.object(hub, "KEPT", 10):
            assert self.resyncs(since)

    def resyncs(self, since: int) -> bool:
        text, binary = hub.frames(read(self.job), since)
        return bool(json.loads(text)["t"] == "resync" and binary is None)

    def test_it_encodes_once_for_all_with_the_same_number(self) -> None:
        head = read(self.job)
        assert hub.frames(head, 1) is hub.frames(head, 1)

    def test_it_reaches_the_end_of_a_retry(self) -> None:
        job = worked(self.alice, csv_of(10, lambda at: "fail:Broken" if at < 4 else "ok"))
        page = Page(job)
        actions.retry(job)
        head = read(job)
        page.take(job, *hub.frames(head, page.seq))
        assert (page.frame["state"], page.frame["counts"]["waiting"]) == (JobState.QUEUED, 4)
        assert page.items == cells(job)

    def test_it_has_nothing_for_a_job_that_is_gone(self) -> None:
        assert hub.read_head("nosuchjob", None) is None
