"""Websockets of people with whom a job is shared: they hear what its owner hears, as long as it is shared."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from jobs import actions, events
from jobs.live import hub, viewer
from jobs.models import Job
from tests.live.sockets import SocketCase, socket, told


class SharedSocketTests(SocketCase):
    async def shared(self, **fields: Any) -> Job:
        job = await self.job()
        await sync_to_async(job.share)(self.bob, **fields)
        return job

    async def change(self, job: Job) -> None:
        """Something happens, and a worker elsewhere wakes whoever watches the job."""
        await sync_to_async(actions.pause)(job, self.alice)
        message = {"type": "wake.job", "job": job.code, "seq": job.seq, "owner": self.alice.pk}
        await get_channel_layer().group_send(events.job_group(job.code), message)

    async def test_it_lets_them_listen(self) -> None:
        job = await self.shared()
        async with socket(f"/ws/jobs/{job.code}/", self.bob) as line:
            await line.say(t="hello", after=job.seq)
            assert (await line.hear())["t"] == "stats"

    async def test_it_closes_at_once_when_that_is_taken_back(self) -> None:
        job = await self.shared()
        async with told(self.bob), socket(f"/ws/jobs/{job.code}/", self.bob) as line:
            assert await self.closed(line, partial(job.unshare, self.bob)) == viewer.NOT_FOUND

    async def test_it_closes_within_a_while_where_nobody_said_so(self) -> None:
        job = await self.shared()
        with patch.object(viewer, "RECHECK", 0.2):
            async with socket(f"/ws/jobs/{job.code}/", self.bob) as line:
                await sync_to_async(job.unshare)(self.bob)  # in a transaction that never ends
                while line.code is None:
                    await line.hear()
                assert line.code == viewer.NOT_FOUND

    async def test_it_closes_for_the_former_owner(self) -> None:
        job = await self.job()
        async with told(self.alice), socket(f"/ws/jobs/{job.code}/", self.alice) as line:
            assert await self.closed(line, partial(job.give, self.bob)) == viewer.NOT_FOUND

    async def test_it_lists_what_is_shared(self) -> None:
        job = await self.shared()
        with patch.object(hub, "GLANCE", 0.0):
            async with socket("/ws/jobs/", self.bob) as line:
                frame = await line.hear_kind("jobs")
            assert ([row["code"] for row in frame["rows"]], frame["tabs"]["all"]) == ([job.code], 1)

    async def test_it_keeps_the_list_live(self) -> None:
        job = await self.shared()
        with patch.object(viewer, "QUIET", 600.0):
            async with socket("/ws/jobs/", self.bob) as line:
                await line.hear_kind("jobs")
                await self.change(job)
                rows = (await line.hear_kind("jobs"))["rows"]
                assert [(row["code"], row["state"]) for row in rows] == [(job.code, "paused")]

    async def test_it_keeps_older_jobs_that_the_page_shows_live(self) -> None:
        job = await self.shared()
        newer = await self.shared()
        with patch.object(viewer, "QUIET", 600.0), patch.object(hub, "LISTED", 1):
            async with socket("/ws/jobs/", self.bob) as line:
                assert [row["code"] for row in (await line.hear_kind("jobs"))["rows"]] == [newer.code]
                await line.say(t="hello", codes=[job.code])
                await line.hear_kind("jobs")
                await self.change(job)
                assert [row["state"] for row in (await line.hear_kind("jobs"))["rows"]] == ["paused"]

    async def test_it_tells_of_a_job_that_is_shared_now(self) -> None:
        job = await self.job()
        with patch.object(viewer, "QUIET", 600.0), patch.object(hub, "GLANCE", 0.0):
            async with told(self.bob), socket("/ws/jobs/", self.bob) as line:
                await line.hear_kind("jobs")
                await self.committed(partial(job.share, self.bob))
                assert [row["code"] for row in (await line.hear_kind("jobs"))["rows"]] == [job.code]
                await self.change(job)
                assert [row["state"] for row in (await line.hear_kind("jobs"))["rows"]] == ["paused"]

    async def test_it_sends_no_more_of_a_job_that_is_not_shared_any_more(self) -> None:
        job = await self.shared()
        with patch.object(hub, "GLANCE", 0.0):
            async with told(self.bob), socket("/ws/jobs/", self.bob) as line:
                assert (await line.hear_kind("jobs"))["tabs"]["all"] == 1
                await self.committed(partial(job.unshare, self.bob))
                assert (await line.hear_kind("jobs"))["tabs"]["all"] == 0
                await self.change(job)
                assert [(await line.hear())["t"] for _ in range(3)] == ["hb", "hb", "hb"]
