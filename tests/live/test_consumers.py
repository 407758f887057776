"""Websockets: who may listen, what they hear, and that nothing is lost with a wake-up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from channels.layers import channel_layers, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import override_settings

from jobs import actions, events, tasks
from jobs.live import consumers, hub, job_list, viewer
from tests.base import csv_of, loaded, worked
from tests.live.sockets import ABNORMAL, SocketCase, socket, told


@contextmanager
def no_layer() -> Iterator[None]:
    """A layer whose server is gone: nobody listens on that port."""
    usual = channel_layers.set("default", RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:9"]))
    try:
        yield
    finally:
        channel_layers.set("default", usual)


class SocketTests(SocketCase):
    @override_settings(REQUIRE_SECOND_FACTOR="staff")
    async def test_it_lets_nobody_listen_whose_second_factor_is_missing(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.sam) as line:
            assert line.code == 4404
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            assert line.code is None

    async def test_it_lets_owners_and_staff_listen(self) -> None:
        job = await self.job()
        for person in (self.alice, self.sam):
            async with socket(f"/ws/jobs/{job.code}/", person) as line:
                assert line.code is None

    async def test_it_sends_others_away(self) -> None:
        job = await self.job()
        for person in (None, self.bob):
            async with socket(f"/ws/jobs/{job.code}/", person) as line:
                assert line.code == viewer.NOT_FOUND

    async def test_it_sends_people_away_from_what_is_not_there(self) -> None:
        for path in ("/ws/jobs/nosuchjob/", "/ws/", "/elsewhere"):
            async with socket(path, self.alice) as line:
                assert line.code == viewer.NOT_FOUND

    async def test_it_refuses_the_pages_of_other_sites(self) -> None:
        job = await self.job()
        for origin in (b"http://evil.example", b"http://localhost.evil.example", b"null", None):
            async with socket(f"/ws/jobs/{job.code}/", self.alice, origin) as line:
                assert line.code == ABNORMAL

    async def test_it_refuses_one_socket_too_many(self) -> None:
        with override_settings(JOBS_SOCKETS_PER_PERSON=2):
            async with socket("/ws/jobs/", self.alice), socket("/ws/jobs/", self.alice) as second:
                async with socket("/ws/jobs/", self.alice) as third:
                    assert (second.code, third.code) == (None, viewer.TOO_MANY)
                async with socket("/ws/jobs/", self.bob) as other:
                    assert other.code is None
            async with socket("/ws/jobs/", self.alice) as later:
                assert later.code is None

    async def test_it_forgets_who_has_left(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=0)
            await line.hear()
        assert not viewer._sockets
        assert not hub.hub._viewers
        assert not hub.hub._heads

    async def test_it_frees_the_place_of_a_socket_that_broke(self) -> None:
        with patch.object(hub, "shown_rows", side_effect=RuntimeError("broken")):
            async with socket("/ws/jobs/", self.alice) as line:
                while line.code is None:
                    await line.hear()
                assert line.code == viewer.TRY_AGAIN
        assert not viewer._sockets

    async def test_it_writes_no_error_down_when_a_page_has_hung_up(self) -> None:
        gone = ConnectionResetError("the page has gone")
        with patch.object(consumers.ListConsumer, "send_news", side_effect=gone), self.assertNoLogs("jobs.live.viewer"):
            async with socket("/ws/jobs/", self.alice):
                while viewer._sockets:
                    await asyncio.sleep(0)

    async def test_it_asks_to_come_back_while_the_database_is_away(self) -> None:
        job = await self.job()
        with patch.object(hub, "read_head", side_effect=DatabaseError):
            async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
                await line.say(t="hello", after=0)
                assert await line.hear() is None
                assert line.code == viewer.TRY_AGAIN

    async def test_it_says_nothing_before_the_page_said_hello(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            assert await line.receive_nothing(0.3)

    async def test_it_answers_a_hello_with_the_newest_numbers(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=job.seq)
            frame = await line.hear()
            assert (frame["t"], frame["from"], frame["seq"]) == ("stats", job.seq, job.seq)
            assert frame["counts"]["waiting"] == frame["total"] == 3

    async def test_it_sends_stats_and_cells_from_the_pages_own_number(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=job.seq)
            await line.hear()
            await sync_to_async(tasks.work)()
            frame = await line.hear_kind("stats")
            cells = await line.hear()
            assert frame["from"] == job.seq < frame["seq"]
            assert events.HEADER.unpack_from(cells) == (events.CELLS, 0, frame["from"], frame["seq"])
            assert dict(events.decode(cells[events.HEADER.size :])) == {0: 2, 1: 2, 2: 2}

    async def test_it_catches_up_a_page_that_was_away(self) -> None:
        job = await sync_to_async(worked)(self.alice, csv_of(3))
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=1)
            frame = await line.hear()
            assert (frame["from"], frame["seq"], frame["state"]) == (1, job.seq, "finished")

    async def test_it_beats_while_nothing_happens(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=job.seq)
            assert [(await line.hear())["t"] for _ in range(4)] == ["stats", "hb", "hb", "hb"]

    async def test_it_is_quick_after_a_wake_up(self) -> None:
        job = await self.job()
        with patch.object(viewer, "QUIET", 60.0):
            async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
                await line.say(t="hello", after=job.seq)
                await line.hear()
                await sync_to_async(actions.pause)(job, self.alice)
                message = {"type": "wake.job", "job": job.code, "seq": job.seq, "owner": self.alice.pk}
                await get_channel_layer().group_send(events.job_group(job.code), message)
                assert (await line.hear_kind("stats"))["state"] == "paused"

    async def test_it_serves_frames_without_the_layer(self) -> None:
        job = await self.job()
        with no_layer():
            async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
                await line.say(t="hello", after=job.seq)
                await line.hear()
                await sync_to_async(actions.pause)(job, self.alice)
                assert (await line.hear_kind("stats"))["state"] == "paused"

    async def test_it_serves_the_list_without_the_layer(self) -> None:
        job = await self.job()
        with no_layer():
            async with socket("/ws/jobs/", self.alice) as line:
                await line.hear_kind("jobs")
                await sync_to_async(actions.pause)(job, self.alice)
                assert (await line.hear_kind("jobs"))["rows"][0]["state"] == "paused"

    async def test_it_sends_less_to_a_page_that_nobody_looks_at(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=job.seq)
            await line.hear()
            await line.say(t="hidden", hidden=True)
            await line.hear()
            assert await line.receive_nothing(0.3)
            assert (await line.hear())["t"] == "hb"

    async def test_it_is_back_at_once_when_somebody_looks(self) -> None:
        job = await self.job()
        with patch.object(viewer, "HIDDEN", 60.0):
            async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
                await line.say(t="hello", after=job.seq)
                await line.hear()
                await line.say(t="hidden", hidden=True)
                await line.hear()
                await line.say(t="hidden", hidden=False)
                assert (await line.hear())["t"] == "hb"

    async def test_it_passes_over_what_it_does_not_understand(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            for text in ("", "[]", "null", '"hello"', "{", '{"t": 1}', '{"t": "cancel"}', "[" * 60_000):
                await line.send_input({"type": "websocket.receive", "text": text})
            odd: tuple[Any, ...] = (None, -1, "1", 1.5, {})
            for after in odd:
                await line.say(t="hello", after=after)
            await line.send_input({"type": "websocket.receive", "bytes": b"\xff\x00"})
            await line.say(t="hello", after=10**12)
            assert (await line.hear())["seq"] == job.seq

    async def test_it_closes_a_socket_that_speaks_too_fast(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            for _ in range(int(viewer.BURST) + 10):
                await line.say(t="hello", after=0)
            while line.code is None:
                await line.hear()
            assert line.code == viewer.TOO_MANY
        assert not viewer._sockets

    def test_it_lets_a_page_speak_on_after_a_while(self) -> None:
        now = 0.0
        pace = viewer.Pace(lambda: now)
        assert [pace.keeps() for _ in range(31)] == [True] * 30 + [False]
        pace.left, now = 0.0, 2.5
        assert [pace.keeps() for _ in range(3)] == [True, True, False]

    async def test_it_closes_when_the_job_is_gone(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=0)
            await line.hear()
            await job.adelete()
            while line.code is None:
                await line.hear()
            assert line.code == viewer.NOT_FOUND

    async def test_it_closes_when_the_job_was_deleted_and_is_still_being_removed(self) -> None:
        job = await self.job()
        async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            await line.say(t="hello", after=0)
            await line.hear()
            await sync_to_async(actions.delete)(job, self.alice)
            while line.code is None:
                await line.hear()
            assert line.code == viewer.NOT_FOUND

    async def test_it_closes_after_a_sign_out(self) -> None:
        job = await self.job()
        with patch.object(viewer, "RECHECK", 0.2):
            async with socket(f"/ws/jobs/{job.code}/", self.alice) as line:
                await line.say(t="hello", after=job.seq)
                assert (await line.hear())["t"] == "stats"
                await sync_to_async(line.client.logout)()
                while line.code is None:
                    await line.hear()
                assert line.code == viewer.NOT_FOUND

    async def test_it_closes_at_once_after_a_sign_out(self) -> None:
        job = await self.job()
        for path in ("/ws/jobs/", f"/ws/jobs/{job.code}/"):
            async with told(self.alice), socket(path, self.alice) as line:
                out = partial(line.client.post, "/accounts/logout/")
                assert await self.closed(line, out) == viewer.NOT_FOUND

    async def test_it_closes_at_once_though_nobody_looks_at_the_page(self) -> None:
        with patch.object(viewer, "HIDDEN", 60.0):
            async with told(self.alice), socket("/ws/jobs/", self.alice) as line:
                await line.say(t="hidden", hidden=True)
                await line.hear()
                out = partial(line.client.post, "/accounts/logout/")
                assert await self.closed(line, out) == viewer.NOT_FOUND

    async def test_it_closes_at_once_for_who_was_shut_out(self) -> None:
        person = await sync_to_async(User.objects.create_user)("carol", password="carol-likes-tea")

        def shut_out() -> None:
            person.is_active = False
            person.save()

        async with told(person), socket("/ws/jobs/", person) as line:
            assert await self.closed(line, shut_out) == viewer.NOT_FOUND

    async def test_it_closes_the_list_of_all_jobs_for_who_is_no_longer_staff(self) -> None:
        person = await sync_to_async(User.objects.create_superuser)("carol", password="carol-likes-tea")

        def demote() -> None:
            person.is_staff = False
            person.save()

        async with told(person), socket("/ws/jobs/", person) as line:
            assert await self.closed(line, demote) == viewer.NOT_FOUND

    async def test_it_leaves_the_other_sessions_of_who_signs_out_open(self) -> None:
        here = "/ws/jobs/"
        async with told(self.alice), socket(here, self.alice) as line, socket(here, self.alice) as other:
            await self.closed(line, partial(line.client.post, "/accounts/logout/"))
            assert {(await other.hear())["t"] for _ in range(4)} <= {"jobs", "hb"}

    async def test_it_stays_open_for_who_stays_signed_in(self) -> None:
        with patch.object(viewer, "RECHECK", 0.0):
            async with socket("/ws/jobs/", self.alice) as line:
                assert {(await line.hear())["t"] for _ in range(4)} == {"jobs", "hb"}

    async def test_it_lists_only_ones_own_jobs(self) -> None:
        mine, other = await self.job(), await sync_to_async(loaded)(self.bob, csv_of(1))
        both = {mine.code, other.code}
        for person, expected in ((self.alice, {mine.code}), (self.bob, {other.code}), (self.sam, both)):
            async with socket("/ws/jobs/", person) as line:
                frame = await line.hear_kind("jobs")
                assert {row["code"] for row in frame["rows"]} == expected

    async def test_it_sends_rows_of_the_list_that_changed(self) -> None:
        first, second = await self.job(), await self.job()
        async with socket("/ws/jobs/", self.alice) as line:
            assert len((await line.hear_kind("jobs"))["rows"]) == 2
            await sync_to_async(actions.cancel)(second, self.alice)
            message = {"type": "wake.list", "job": second.code, "seq": second.seq, "owner": self.alice.pk}
            await get_channel_layer().group_send(events.owner_group(self.alice.pk), message)
            rows = (await line.hear_kind("jobs"))["rows"]
            assert [(row["code"], row["state"]) for row in rows] == [(second.code, "cancelled")]
            assert first.code != second.code

    async def test_it_sends_what_stands_above_the_list_when_it_changes(self) -> None:
        job = await self.job()
        with patch.object(hub, "GLANCE", 0.0):
            async with socket("/ws/jobs/", self.alice) as line:
                assert (await line.hear_kind("jobs"))["tabs"]["cancelled"] == 0
                await sync_to_async(actions.cancel)(job, self.alice)
                frame = await line.hear_kind("jobs")
                assert (frame["tabs"]["cancelled"], frame["strip"]["others"]) == (1, "")
                assert (await line.hear())["t"] == "hb"

    async def test_it_looks_at_the_jobs_that_a_page_shows(self) -> None:
        old = await self.job()
        with patch.object(hub, "LISTED", 1):
            newest, other = await self.job(), await sync_to_async(loaded)(self.bob, csv_of(1))
            async with socket("/ws/jobs/", self.alice) as line:
                assert [row["code"] for row in (await line.hear_kind("jobs"))["rows"]] == [newest.code]
                await line.say(t="hello", codes=[old.code, other.code, 7, None])
                assert [row["code"] for row in (await line.hear_kind("jobs"))["rows"]] == [old.code]

    async def test_it_takes_odd_codes_for_none(self) -> None:
        await self.job()
        async with socket("/ws/jobs/", self.alice) as line:
            for odd in ("x", {"a": 1}, [["a"]], 5, None):
                await line.say(t="hello", codes=odd)
            assert (await line.hear_kind("hb"))["t"] == "hb"

    async def test_it_reads_what_stands_above_the_list_once_for_all(self) -> None:
        await self.job()
        hub.glances = hub.Glances()
        with patch.object(hub, "glance", wraps=job_list.glance) as read:
            lines = [socket("/ws/jobs/", self.alice) for _ in range(20)]
            opened = await asyncio.gather(*(one.__aenter__() for one in lines))
            await asyncio.gather(*(line.hear_kind("jobs") for line in opened))
            assert read.call_count <= 2
            await asyncio.gather(*(one.__aexit__(None, None, None) for one in lines))

    async def test_it_gives_150_viewers_the_same_end(self) -> None:
        job = await self.job(40)
        sockets = [socket(f"/ws/jobs/{job.code}/", self.alice) for _ in range(150)]
        lines = await asyncio.gather(*(one.__aenter__() for one in sockets))
        await asyncio.gather(*(line.say(t="hello", after=job.seq) for line in lines))
        await sync_to_async(tasks.work)()
        await sync_to_async(job.refresh_from_db)()
        ends = await asyncio.gather(*(self.end(line, job.seq) for line in lines))
        assert {tuple(end["counts"].items()) for end in ends} == {tuple(ends[0]["counts"].items())}
        assert (ends[0]["state"], ends[0]["counts"]["succeeded"]) == ("finished", 40)
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in sockets))

    async def end(self, line: Any, seq: int) -> dict[str, Any]:
        while (frame := await line.hear_kind("stats", 20))["seq"] < seq:
            pass
        return dict(frame)
