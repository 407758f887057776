from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from channels.layers import InMemoryChannelLayer, get_channel_layer

from jobs.live import subscriber
from jobs.live.subscriber import Wakeups


async def settled(heard: list[Any], count: int) -> None:
    async with asyncio.timeout(5):
        while len(heard) < count:
            await asyncio.sleep(0.01)


async def test_it_calls_everybody_who_follows_a_group() -> None:
    heard: list[Any] = []
    others: list[Any] = []
    ears = Wakeups()
    ears.follow("job.a", heard.append)
    ears.follow("job.a", others.append)
    await settled(heard, 1)
    await get_channel_layer().group_send("job.a", {"type": "wake.job", "seq": 7})
    await settled(heard, 2)
    ears.leave("job.a", heard.append)
    ears.leave("job.a", others.append)
    assert heard == others == [{}, {"type": "wake.job", "seq": 7}]


async def test_it_listens_once_for_all() -> None:
    ears = Wakeups()
    hears = [lambda message, at=at: None for at in range(50)]
    for hear in hears:
        ears.follow("job.b", hear)
    assert len(ears._tasks) == 1
    for hear in hears:
        ears.leave("job.b", hear)
    assert not ears._tasks
    assert not ears._ears


async def test_it_tries_again_when_the_layer_is_back() -> None:
    layer, heard = get_channel_layer(), list[Any]()
    answers = [ConnectionError("gone"), ConnectionError("gone"), layer]

    def flaky() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ears = Wakeups()
    with patch.object(subscriber, "BACKOFF", (0.01, 0.02)), patch.object(subscriber, "get_channel_layer", flaky):
        ears.follow("job.c", heard.append)
        await settled(heard, 1)
        ears.leave("job.c", heard.append)
    assert heard == [{}]


async def test_it_lets_go_of_a_group_that_nobody_follows() -> None:
    ears = Wakeups()
    ears.leave("job.d", print)
    assert not ears._tasks


@pytest.mark.parametrize("steps", range(8))
async def test_it_stops_listening_at_whatever_moment_it_is_told_to(steps: int) -> None:
    ears, loop = Wakeups(), asyncio.get_running_loop()
    told = loop.create_future()

    def tell_after(turns: int) -> None:
        if turns:
            loop.call_soon(tell_after, turns - 1)
            return
        ears.leave("job.e", print)
        told.set_result(None)

    layer = InMemoryChannelLayer()
    with patch.object(subscriber, "get_channel_layer", lambda: layer):
        ears.follow("job.e", print)
        (listener,) = ears._tasks.values()
        loop.call_soon(tell_after, steps)
        await told
        await asyncio.wait([listener], timeout=30)
        ended = listener.done()
        listener.cancel()
    assert ended
