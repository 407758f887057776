"""Whether jobs would be worked on now: asked by monitors, so it is cheap, bounded in time, and says no secrets."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from datetime import timedelta
from typing import Final

from django.db import DatabaseError, connection

from jobs.models import Worker
from jobs.worker import broker as worker_broker

SEEN: Final = timedelta(seconds=30)
BROKER_WITHIN: Final = 1.0  # seconds
KEPT: Final = 1.5  # seconds that an answer is good for everybody who asks

# One thread: while a broker hangs, questions wait in line behind the first one and are given up.
_asker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ready")
_lock = threading.Lock()
_known: dict[str, bool] = {}
_at = 0.0


def parts() -> dict[str, bool]:
    """Each part, and whether it is well, as of a moment ago."""
    global _known, _at
    with _lock:
        if not _known or time.monotonic() - _at > KEPT:
            data, worker = database()
            _known, _at = {"database": data, "broker": broker(), "worker": worker}, time.monotonic()
        return _known


def forget() -> None:
    _known.clear()


def database() -> tuple[bool, bool]:
    """Whether the database answers, and whether a worker was seen lately."""
    try:
        return True, Worker.objects.of("work").alive(SEEN).exists()
    except DatabaseError:
        connection.close()
        return False, False


def broker() -> bool:
    asked = _asker.submit(reach_broker)
    try:
        return asked.result(BROKER_WITHIN)
    except TooLate:
        asked.cancel()
        return False


def reach_broker() -> bool:
    return worker_broker.queued("work") is not None
