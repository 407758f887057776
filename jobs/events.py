"""Waking viewers: group names, the encoding of item changes, and a publisher that never raises.

A wake-up says no more than "job X is at number n". Whoever gets it reads the database; whoever misses it reads the
database a little later.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

STAFF_GROUP: Final = "jobs.staff"
# Seconds between two wake-ups of one job. Results are stored each 0.1 s: at 0.2 those of every other time would wait.
JOB_INTERVAL: Final = 0.1
LIST_INTERVAL: Final = 1.0  # seconds between two wake-ups of the lists that show it
SEND_TIMEOUT: Final = 3.0
CELLS: Final = 1  # first byte of a binary frame
HEADER: Final = struct.Struct(">BBII")


def job_group(code: str) -> str:
    return f"job.{code}"


def owner_group(owner: int) -> str:
    return f"jobs.{owner}"


def person_group(person: int) -> str:
    """The sockets of one person, whatever they watch."""
    return f"person.{person}"


def encode(changes: dict[int, int]) -> bytes:
    """Position → state as one varint each of ((distance from the last position) << 3 | state), ascending."""
    out = bytearray()
    last = 0
    for position in sorted(changes):
        value = (position - last) << 3 | changes[position]
        last = position
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def decode(data: bytes) -> Iterator[tuple[int, int]]:
    """What `encode` was given, in ascending order of positions."""
    position = value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            position += value >> 3
            yield position, value & 7
            value = shift = 0


def merge(deltas: Iterable[bytes]) -> dict[int, int]:
    """The last state of each item that changed in any of `deltas`, which are given oldest first."""
    changes: dict[int, int] = {}
    for delta in deltas:
        changes.update(decode(delta))
    return changes


def cells_frame(since: int, seq: int, changes: dict[int, int]) -> bytes:
    return HEADER.pack(CELLS, 0, since, seq) + encode(changes)


class Publisher:
    """One thread with one event loop and so one connection for each process; keeps only the newest number of a job."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._news: dict[str, tuple[int, int]] = {}
        self._sent: dict[tuple[str, str], float] = {}
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._cut_off = False
        self._closed = False
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def wake(self, code: str, seq: int, owner: int, at_once: bool) -> None:
        with self._lock:
            newest = max(seq, self._news.get(code, (0, 0))[0])
            self._news[code] = (newest, owner)
            self._idle.clear()
            if at_once:
                self._sent.pop((code, "job"), None)
                self._sent.pop((code, "list"), None)
        self._loop.call_soon_threadsafe(self._signal, at_once)

    def tell(self, group: str, message: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._send([group], message), self._loop)

    def _signal(self, at_once: bool) -> None:
        self._changed.set()
        if at_once:
            self._urgent.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._publish_until_closed())

    def close(self) -> None:
        """Ends the thread; what was not sent yet is dropped."""
        self._closed = True
        self._loop.call_soon_threadsafe(self._signal, True)
        self._thread.join()
        self._loop.close()

    def drain(self, within: float) -> None:
        """Returns when all wake-ups are sent, after `within` seconds at most."""
        self._idle.wait(within)

    async def _publish_until_closed(self) -> None:
        lists: dict[str, tuple[int, int]] = {}
        while not self._closed:
            await self._wait(bool(lists))
            with self._lock:
                news, self._news = self._news, {}
            lists |= news
            late = await self._send_due(news, "job", JOB_INTERVAL)
            lists = await self._send_due(lists, "list", LIST_INTERVAL)
            with self._lock:
                self._news = late | self._news
            if late:
                self._changed.set()
                await self._pause(late)

    async def _wait(self, waiting: bool) -> None:
        with self._lock:
            if not waiting and not self._news:
                self._idle.set()
        try:
            await asyncio.wait_for(self._changed.wait(), JOB_INTERVAL if waiting else None)
        except TimeoutError:
            return
        self._changed.clear()

    async def _pause(self, late: Iterable[str]) -> None:
        """Until the next wake-up of these jobs is allowed, or at once when a state changed."""
        now = time.monotonic()
        soonest = min(self._sent.get((code, "job"), now) for code in late) + JOB_INTERVAL
        self._urgent.clear()
        try:
            await asyncio.wait_for(self._urgent.wait(), max(0.0, soonest - now))
        except TimeoutError:
            return

    async def _send_due(self, news: dict[str, tuple[int, int]], to: str, interval: float) -> dict[str, tuple[int, int]]:
        """Sends what is due; returns the rest, and what could not be sent."""
        rest: dict[str, tuple[int, int]] = {}
        for code, (seq, owner) in news.items():
            now = time.monotonic()
            if now - self._sent.get((code, to), -interval) < interval:
                rest[code] = (seq, owner)
                continue
            self._sent[(code, to)] = now
            groups = [job_group(code)] if to == "job" else [owner_group(owner), STAFF_GROUP]
            if not await self._send(groups, {"type": f"wake.{to}", "job": code, "seq": seq, "owner": owner}):
                rest[code] = (seq, owner)
        if len(self._sent) > 10_000:
            self._sent.clear()
        return rest

    async def _send(self, groups: list[str], message: dict[str, Any]) -> bool:
        """Whether it could be sent. Each outage is said once, not four times a second."""
        layer = get_channel_layer()
        try:
            for group in groups:
                await asyncio.wait_for(layer.group_send(group, message), SEND_TIMEOUT)
        except Exception as error:  # whatever the layer raises, nothing may break for a wake-up
            if not self._cut_off:
                logger.warning("Viewers cannot be woken: %s", type(error).__name__)
            self._cut_off = True
            return False
        if self._cut_off:
            logger.info("Viewers are woken again")
        self._cut_off = False
        return True


_publisher: Publisher | None = None
_publisher_lock = threading.Lock()


def publisher() -> Publisher:
    """The publisher of this process: a thread does not survive a fork."""
    global _publisher
    with _publisher_lock:
        if _publisher is None or _publisher.pid != os.getpid():
            _publisher = Publisher()
    return _publisher


def wake(code: str, seq: int, owner: int, at_once: bool = False) -> None:
    """Tells viewers that the job is at number `seq`; never raises and never waits."""
    try:
        publisher().wake(code, seq, owner, at_once)
    except Exception:
        logger.exception("Viewers could not be woken")


def tell(group: str, message: dict[str, Any]) -> None:
    """Sends one message to a group, once; never raises and never waits."""
    try:
        publisher().tell(group, message)
    except Exception:
        logger.exception("Viewers could not be told")


def drain(within: float) -> None:
    """Returns when all wake-ups of this process are sent, after `within` seconds at most."""
    if _publisher is not None and _publisher.pid == os.getpid():
        _publisher.drain(within)
