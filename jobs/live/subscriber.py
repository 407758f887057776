"""Wake-ups from other processes: each group is listened to once in this process, for all of its viewers.

Viewers do not listen themselves: a layer whose server is gone would refuse every new websocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

ANSWER_WITHIN: Final = 5.0  # seconds
BACKOFF: Final = (1.0, 30.0)  # seconds between two tries to listen, at first and at last

Hear = Callable[[dict[str, Any]], None]


class Wakeups:
    """Calls those who asked for it with each message of a group. Never raises: a wake-up may always be lost."""

    def __init__(self) -> None:
        self._ears: dict[str, set[Hear]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, group: str, hear: Hear) -> None:
        """`hear` is called with each message, and with an empty one when some may have been missed."""
        self._ears.setdefault(group, set()).add(hear)
        if group not in self._tasks:
            self._tasks[group] = asyncio.create_task(self._listen_for_ever(group))

    def leave(self, group: str, hear: Hear) -> None:
        ears = self._ears.get(group, set())
        ears.discard(hear)
        if not ears and group in self._tasks:
            del self._ears[group]
            self._tasks.pop(group).cancel()

    def tell(self, group: str, message: dict[str, Any]) -> None:
        for hear in tuple(self._ears.get(group, ())):
            hear(message)

    async def _listen_for_ever(self, group: str) -> None:
        wait, last = BACKOFF
        while True:
            try:
                await self._listen(group)
            except Exception as error:  # the layer's drivers raise what they like, also where they are cancelled
                if not ending():
                    logger.warning("No wake-ups for the viewers of %s: %s", group, type(error).__name__)
            if ending():
                return
            await asyncio.sleep(wait)
            wait = min(2 * wait, last)

    async def _listen(self, group: str) -> None:
        layer = get_channel_layer()
        channel = await asyncio.wait_for(layer.new_channel(), ANSWER_WITHIN)
        try:
            await asyncio.wait_for(layer.group_add(group, channel), ANSWER_WITHIN)
            self.tell(group, {})
            while not ending():
                self.tell(group, await layer.receive(channel))
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(layer.group_discard(group, channel), ANSWER_WITHIN)


def ending() -> bool:
    """Whether this task was cancelled. That may get lost on the way: a driver raises an error of its own instead, and
    before Python 3.12 `wait_for` goes on where the answer comes in that moment."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


wakeups = Wakeups()
