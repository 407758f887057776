"""Workers take what batchweb sends, and nothing else ends them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from kombu import Connection

from batchweb import celery_app, web
from batchweb.messages import LONGEST, Transport, odd_envelope, odd_order
from jobs import tasks
from jobs.worker import broker
from tests.platform.messages import ODD, message
from tests.platform.test_supervisor import wait
from tests.services import ROOT
from tests.services.valkey import server

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: .")
# What libraries add that follow a request through several systems.
FOLLOWED = {"traceparent": "00-1-2-01", "sentry-trace": "1-2", "x": {"y": 1}}


def verdict(text: str | bytes) -> str:
    """What the looks at a message say."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return "no JSON"  # which the channel drops
    return odd_envelope(raw) or odd_order(in_hand(raw), celery_app.tasks)


def in_hand(raw: dict[str, Any]) -> Any:
    """The message as a worker has it."""
    with Connection("memory://") as connection:
        channel: Any = connection.channel()
        found: Any = channel.Message(raw, channel=channel)
        found.accept = {"application/json"}
        return found


@pytest.mark.parametrize("name", sorted(ODD))
def test_it_tells_odd_messages(name: str) -> None:
    assert verdict(ODD[name])


@pytest.mark.parametrize("order", [(broker.WORK,), (broker.LOAD, 7)])
def test_it_takes_what_is_sent(order: tuple[Any, ...]) -> None:
    assert {broker.WORK, broker.LOAD} == {tasks.work.name, tasks.load_file.name}
    queue = "load" if order[0] == broker.LOAD else "work"
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(queue)
    assert broker.send(*order)
    (text,) = client.lrange(queue, 0, -1)
    client.delete(queue)
    assert verdict(text) == ""
    assert len(json.loads(text)["body"]) < LONGEST / 8


def test_it_takes_orders_that_libraries_follow() -> None:
    assert verdict(message(headers=FOLLOWED)) == ""


def test_it_is_used_for_every_broker_of_that_kind() -> None:
    for url in (settings.CELERY_BROKER_URL, "redis://localhost/0", "rediss://localhost/0", "redis+socket:///tmp/x"):
        assert isinstance(celery_app.connection(url).transport, Transport)


@contextmanager
def worker(folder: Path, socket: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A real worker of both queues, and its log."""
    environment = {**os.environ, **web.quietly(), "DATA_DIR": str(folder / "data"), "REDIS_URL": f"unix://{socket}"}
    environment.pop("DATABASE_URL", None)
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0", "--noinput"], cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "-m", "celery", "-q", "-A", "batchweb", "worker", "-Q", "work,load", "-c", "1"]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        yield process, log
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.flow
def test_it_drops_odd_messages_one_line_each(tmp_path: Path) -> None:
    socket = tmp_path / "valkey.sock"
    with server(socket), worker(tmp_path, socket) as (process, log):
        client = redis.Redis(unix_socket_path=str(socket))
        for queue in ("work", "load"):
            client.lpush(queue, message(), *ODD.values(), message())

        def drained() -> bool:
            assert process.poll() is None, log.read_text()[-3000:]
            return not (client.llen("work") or client.llen("load") or client.hlen("unacked"))

        wait(drained, "the end of all messages", within=120)
        text = log.read_text()
        assert text.count("was dropped") == 2 * len(ODD)
        # Each line is a record, written by the product's own formatter.
        assert [line for line in text.splitlines() if not RECORD.match(line)] == []
