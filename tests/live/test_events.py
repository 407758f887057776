from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from channels_redis.pubsub import RedisPubSubChannelLayer
from hypothesis import given
from hypothesis import strategies as st

from jobs import events
from tests.services.valkey import server

CHANGES = st.dictionaries(st.integers(0, 2**31), st.integers(0, 7), max_size=50)


@given(CHANGES)
def test_it_decodes_what_it_encoded(changes: dict[int, int]) -> None:
    assert dict(events.decode(events.encode(changes))) == changes


@given(CHANGES)
def test_it_lists_positions_in_ascending_order(changes: dict[int, int]) -> None:
    assert [position for position, _ in events.decode(events.encode(changes))] == sorted(changes)


@given(st.lists(CHANGES, max_size=6))
def test_it_merges_to_the_last_state_of_each_item(history: list[dict[int, int]]) -> None:
    last: dict[int, int] = {}
    for changes in history:
        last.update(changes)
    assert events.merge(map(events.encode, history)) == last


@given(st.lists(CHANGES, min_size=2, max_size=6), st.integers(0, 6))
def test_it_merges_in_any_grouping(history: list[dict[int, int]], cut: int) -> None:
    deltas = [events.encode(changes) for changes in history]
    parts = (events.encode(events.merge(deltas[:cut])), events.encode(events.merge(deltas[cut:])))
    assert events.merge(parts) == events.merge(deltas)


def test_it_takes_about_a_byte_for_each_change() -> None:
    assert len(events.encode(dict.fromkeys(range(1000, 2000), 2))) == 1001


def test_it_encodes_nothing_as_nothing() -> None:
    assert (events.encode({}), events.merge([])) == (b"", {})


def test_it_writes_the_header_of_a_cells_frame() -> None:
    assert events.cells_frame(1, 258, {0: 2}) == b"\x01\x00" + b"\x00\x00\x00\x01" + b"\x00\x00\x01\x02" + b"\x02"


# The publisher


class Layer:
    """Notes what is sent, and can be cut off."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str, int]] = []
        self.cut_off = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.cut_off:
            raise ConnectionError("gone")
        self.sent.append((time.monotonic(), group, message["seq"]))

    def seqs(self, group: str) -> list[int]:
        return [seq for _, name, seq in self.sent if name == group]


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Layer]:
    made = Layer()
    monkeypatch.setattr(events, "get_channel_layer", lambda: made)
    monkeypatch.setattr(events, "JOB_INTERVAL", 0.05)
    monkeypatch.setattr(events, "LIST_INTERVAL", 0.1)
    monkeypatch.setattr(events, "_publisher", None)
    yield made
    if events._publisher:
        events._publisher.close()


def until(true: Callable[[], bool], within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while not (answer := true()) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return answer


def test_it_wakes_the_viewers_of_a_job_and_of_the_lists(layer: Layer) -> None:
    events.wake("abc", 3, 7)
    assert until(lambda: {group for _, group, _ in layer.sent} == {"job.abc", "jobs.7", events.STAFF_GROUP})


def test_it_sends_the_newest_number_in_the_end(layer: Layer) -> None:
    for seq in range(1, 501):
        events.wake("abc", seq, 7)
    assert until(lambda: layer.seqs("job.abc")[-1:] == [500])
    assert until(lambda: layer.seqs("jobs.7")[-1:] == [500])


def test_it_sends_few_of_many(layer: Layer) -> None:
    for seq in range(1, 501):
        events.wake("abc", seq, 7)
    assert until(lambda: layer.seqs("job.abc")[-1:] == [500])
    assert len(layer.sent) < 20


def test_it_keeps_the_interval_between_two(layer: Layer) -> None:
    for seq in range(1, 21):
        events.wake("abc", seq, 7)
        threading.Event().wait(0.01)
    assert until(lambda: layer.seqs("job.abc")[-1:] == [20])
    times = [at for at, group, _ in layer.sent if group == "job.abc"]
    assert min(b - a for a, b in pairwise(times)) > 0.045


def test_it_sends_a_change_of_state_at_once(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "JOB_INTERVAL", 60.0)
    events.wake("abc", 1, 7)
    assert until(lambda: layer.seqs("job.abc") == [1])
    events.wake("abc", 2, 7, at_once=True)
    assert until(lambda: layer.seqs("job.abc") == [1, 2], within=2)


def test_it_lets_no_job_hold_up_another(layer: Layer) -> None:
    for seq in range(1, 200):
        events.wake("busy", seq, 7)
    events.wake("calm", 1, 8)
    assert until(lambda: layer.seqs("job.calm") == [1], within=1)


def test_it_never_goes_back(layer: Layer) -> None:
    events.wake("abc", 9, 7)
    events.wake("abc", 4, 7)
    assert until(lambda: layer.seqs("jobs.7") == [9])


def test_it_never_raises_while_nobody_can_be_woken(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    layer.cut_off = True
    for seq in range(20):
        events.wake("abc", seq, 7)
        threading.Event().wait(0.02)
    assert until(lambda: caplog.text.count("cannot be woken") == 1)


def test_it_tells_the_newest_when_they_can_be_again(layer: Layer) -> None:
    layer.cut_off = True
    events.wake("late", 5, 7)
    threading.Event().wait(0.2)
    layer.cut_off = False
    assert until(lambda: layer.seqs("job.late") == [5])


def test_it_never_raises_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no thread")

    monkeypatch.setattr(events, "_publisher", None)
    monkeypatch.setattr(events, "Publisher", broken)
    events.wake("abc", 1, 7)


def test_it_uses_one_publisher_in_a_process(layer: Layer) -> None:
    events.wake("abc", 1, 7)
    first = events._publisher
    events.wake("abc", 2, 7)
    assert events._publisher is first


def test_it_makes_a_publisher_of_its_own_after_a_fork(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    events.wake("abc", 1, 7)
    first = events._publisher
    assert first is not None
    monkeypatch.setattr(first, "pid", -1)
    events.wake("abc", 2, 7)
    assert events._publisher is not first
    first.close()


def test_it_recovers_when_valkey_comes_back(layer: Layer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = Path(tmp_path / "v.sock")
    real = RedisPubSubChannelLayer(hosts=[f"unix://{path}"])
    monkeypatch.setattr(events, "get_channel_layer", lambda: real)
    with server(path):
        events.wake("first", 1, 7)
    events.wake("second", 2, 7)
    with server(path), redis.Redis(unix_socket_path=str(path)) as client, client.pubsub() as listener:
        listener.psubscribe("*")
        listener.get_message(timeout=1)
        events.wake("third", 3, 7)
        assert until(lambda: b"job.third" in (listener.get_message(timeout=1) or {}).get("channel", b""), within=15)
