"""Who works here: the name under which this process is seen, its heartbeat, and the wish that it stops.

The wish is a byte of memory that the worker's parent process shares with its children: Celery tells children nothing
of a shutdown before their time is up.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any, Final

from celery import signals
from django.db import DatabaseError, connection, connections
from tqdm import tqdm

from jobs.models import Worker

logger = logging.getLogger(__name__)

BEAT: Final = 5.0  # seconds
_wish = mmap.mmap(-1, 1)
_name = f"{socket.gethostname()}:{os.getpid()}"


def stopping() -> bool:
    """Whether this worker was told to stop."""
    return _wish[0] != 0


def stop() -> None:
    _wish[0] = 1


def here() -> Worker:
    """This worker's row; the children of one pool share it."""
    return Worker.saw(_name, Worker.objects.filter(name=_name).values_list("processes", flat=True).first() or 1)


@signals.worker_ready.connect
def parent_ready(sender: Any, **kwargs: Any) -> None:
    """In the parent: listens for the signal to stop before Celery does, and says every few seconds that it lives."""
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        chain(number)
    processes = sender.controller.concurrency if hasattr(sender, "controller") else 1
    threading.Thread(target=beat_for_ever, args=(processes,), name="heartbeat", daemon=True).start()


def chain(number: signal.Signals) -> None:
    """Sets the wish to stop on this signal, and then does what was to be done on it anyway."""
    before = signal.getsignal(number)

    def handle(signum: int, frame: FrameType | None) -> None:
        stop()
        if callable(before):
            before(signum, frame)

    signal.signal(number, handle)


def beat_for_ever(processes: int) -> None:
    while True:
        try:
            Worker.saw(_name, processes)
        except DatabaseError as error:
            logger.warning("The heartbeat could not be stored: %s", type(error).__name__)
        finally:
            # Not kept open: a child forked later must not inherit it.
            connection.close()
        threading.Event().wait(BEAT)


@signals.worker_process_init.connect
def child_started(**kwargs: Any) -> None:
    """In each child: nothing that was open in the parent is used, and tqdm has a lock of its own."""
    connections.close_all()
    tqdm.set_lock(threading.RLock())
    tqdm.monitor_interval = 0
