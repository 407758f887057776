"""The cells of a job: one byte for each item, as of one number of the job, for whoever may see it."""

from __future__ import annotations

import gzip
import random
from typing import Any
from unittest.mock import patch

from django.http import HttpResponse
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import actions, events
from jobs.live import hub
from jobs.models import ItemState, Job, JobState, Shard
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING
from jobs.store import items, shards
from jobs.views import item_map
from tests.base import People, csv_of, loaded, states, worked
from tests.live.test_frames import change, read

WORDS = {0: "pending", 2: "succeeded", 3: "failed", 4: "rejected", 5: "pending"}


class CellsTests(People):
    def get(self, job: Job, person: Any = None, **headers: str) -> HttpResponse:
        client = Client()
        client.force_login(person or self.alice)
        return client.get(f"/jobs/{job.code}/cells.bin", headers=headers)  # type: ignore[return-value]

    def test_it_gives_one_byte_for_each_item_in_the_order_of_the_file(self) -> None:
        job = worked(self.alice, csv_of(9, lambda at: "fail:Broken" if at in (2, 7) else "ok") + "\x00bad\n")
        body = self.get(job).content
        assert list(body) == [2, 2, 3, 2, 2, 2, 2, 3, 2, 4]
        assert [WORDS[cell] for cell in body] == states(job)

    def test_it_joins_the_shards(self) -> None:
        job = loaded(self.alice, csv_of(6))
        (shard,) = Shard.objects.filter(job=job)
        shards.save_shard(shard.pk, bytes([2, 2, 3]), stop=3)
        later = bytes([4, 0, 5])
        Shard.objects.create(job=job, number=1, start=3, stop=6, cells=later, **shards.counts(later))
        assert list(self.get(job).content) == [2, 2, 3, 4, 0, 5]

    def test_it_shows_a_failure_with_a_fallback_as_failed(self) -> None:
        job = loaded(self.alice, csv_of(3))
        (shard,) = Shard.objects.filter(job=job)
        shards.save_shard(shard.pk, bytes([CELL_FALLBACK, ItemState.SUCCEEDED, CELL_RETRYING]))
        assert list(self.get(job).content) == [3, 2, 5]

    def test_it_leaves_to_the_frames_what_an_ended_job_did_not_attempt(self) -> None:
        job = loaded(self.alice, csv_of(4))
        actions.cancel(job)
        assert list(self.get(job).content) == [0, 0, 0, 0]
        frame = read(job).frame
        assert (frame["state"], frame["counts"]["not_attempted"]) == (JobState.CANCELLED, 4)

    def test_it_says_which_number_they_belong_to(self) -> None:
        job = loaded(self.alice, csv_of(4))
        items.add_batch(job.pk, b"", [])
        job.refresh_from_db()
        assert self.get(job)["X-Seq"] == str(job.seq)

    def test_it_is_compressed_for_whoever_takes_that(self) -> None:
        job = loaded(self.alice, csv_of(500))
        answer = self.get(job, **{"Accept-Encoding": "br, gzip"})
        assert answer["Content-Encoding"] == "gzip"
        assert len(answer.content) == int(answer["Content-Length"]) < 60
        assert gzip.decompress(answer.content) == bytes(500)
        assert "Accept-Encoding" in answer["Vary"]

    def test_it_is_plain_for_whoever_does_not(self) -> None:
        job = loaded(self.alice, csv_of(5))
        for wanted in ("", "br", "gzip;q=0, br", "gzip; q=0.000"):
            answer = self.get(job, **{"Accept-Encoding": wanted})
            assert ("Content-Encoding" in answer, answer.content) == (False, bytes(5)), wanted

    def test_it_is_not_sent_again_while_nothing_has_changed(self) -> None:
        job = loaded(self.alice, csv_of(5))
        tag = self.get(job)["ETag"]
        with patch.object(item_map, "whole") as whole:
            answer = self.get(job, **{"If-None-Match": tag})
        assert (answer.status_code, answer.content, whole.called) == (304, b"", False)
        items.add_batch(job.pk, b"", [])
        assert self.get(job, **{"If-None-Match": tag}).status_code == 200

    def test_it_is_kept_by_nobody_else(self) -> None:
        assert self.get(loaded(self.alice, csv_of(2)))["Cache-Control"] == "private, no-cache"

    def test_it_does_not_exist_for_others(self) -> None:
        job = loaded(self.alice, csv_of(2))
        tag = self.get(job)["ETag"]
        assert self.get(job, self.bob).status_code == 404
        assert self.get(job, self.bob, **{"If-None-Match": tag}).status_code == 404
        assert self.get(job, self.sam).status_code == 200

    def test_it_reads_cells_and_number_in_a_few_queries(self) -> None:
        job = loaded(self.alice, csv_of(500))
        client = Client()
        client.force_login(self.alice)
        client.get("/")
        with self.assertNumQueries(6):  # the session, the person, a savepoint and its end, the job, the cells
            client.get(f"/jobs/{job.code}/cells.bin")

    def test_it_agrees_with_the_counters_of_the_same_number(self) -> None:
        job, chance = loaded(self.alice, csv_of(60)), random.Random(4)
        for _ in range(20):
            change(job, chance)
            answer, frame = self.get(job), read(job).frame
            assert int(answer["X-Seq"]) == frame["seq"]
            counts, cells = frame["counts"], answer.content
            shown = (counts["succeeded"], counts["failed"], counts["retrying"], counts["waiting"])
            assert shown == (cells.count(2), cells.count(3), cells.count(5), cells.count(0) + cells.count(5))

    def test_it_becomes_what_the_database_holds_by_any_frames(self) -> None:
        job = loaded(self.alice, csv_of(60))
        for seed in range(15):
            chance = random.Random(seed)
            page = Page(self.get(job))
            for _ in range(chance.randint(1, 15)):
                change(job, chance)
                since = chance.choice((page.seq, max(0, page.seq - chance.randint(0, 3))))
                if chance.random() < 0.6:
                    page.take(*hub.frames(read(job), since), job=job, fetch=self.get)
            page.take(*hub.frames(read(job), page.seq), job=job, fetch=self.get)
            assert bytes(page.cells) == self.get(job).content, seed


class Page:
    """A map as the page keeps it: cells of one number, and frames that lead on from there."""

    def __init__(self, answer: HttpResponse) -> None:
        self.load(answer)

    def load(self, answer: HttpResponse) -> None:
        self.cells, self.seq = bytearray(answer.content), int(answer["X-Seq"])

    def take(self, text: str, binary: bytes | None, *, job: Job, fetch: Any) -> None:
        if '"resync"' in text or (binary and events.HEADER.unpack_from(binary)[2] > self.seq):
            self.load(fetch(job))
        elif binary and (seq := events.HEADER.unpack_from(binary)[3]) >= self.seq:
            for at, state in events.decode(binary[events.HEADER.size :]):
                self.cells[at] = state
            self.seq = seq


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 2**32), st.integers(0, 7)))
def test_it_reads_back_the_changes_that_it_wrote(changes: dict[int, int]) -> None:
    assert list(events.decode(events.encode(changes))) == sorted(changes.items())


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 300), st.integers(0, 6))))
def test_it_merges_changes_as_if_they_were_made_one_after_another(steps: list[dict[int, int]]) -> None:
    after: dict[int, int] = {}
    for step in steps:
        after |= step
    assert events.merge(events.encode(step) for step in steps) == after
