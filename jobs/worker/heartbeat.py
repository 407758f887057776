"""The heartbeat of a worker, and what becomes of what it held where it, or a process of its pool, died."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial
from typing import Any, Final

from celery import signals
from django.conf import settings
from django.db import DatabaseError, connection, connections
from tqdm import tqdm

from batchweb import celery_pool, fork
from batchweb.celery_pool import process_ended
from jobs import events
from jobs.models import Worker
from jobs.store import dialect
from jobs.worker import recovery, shutdown

logger = logging.getLogger(__name__)

BEAT: Final = 5.0  # seconds
TOLD: Final = 2.0  # seconds in which viewers are told what was taken back
# Ids and times of children that ended; each child inherits what its parent has noted by then.
_ended: deque[tuple[int, float]] = deque(maxlen=1000)


def here() -> Worker:
    """This worker's row; the children of one pool share it."""
    processes = Worker.objects.filter(name=celery_pool.name()).values_list("processes", flat=True).first() or 1
    return Worker.saw(celery_pool.name(), processes, shutdown.stopping())


# The parent


@signals.worker_init.connect
def parent_started(**kwargs: Any) -> None:
    """Takes back what an earlier worker of the same name held: a container that starts again keeps its name."""
    # What this process was forked off had others.
    celery_pool.begin()
    shutdown.begin()
    try:
        recovery.reclaim(celery_pool.name())
    except DatabaseError as error:
        logger.warning("Earlier leases are left to expire: %s", type(error).__name__)
    finally:
        connections.close_all()
        # The children are forked next: looking for garbage must not copy into each of them what they share.
        fork.freeze()


@signals.worker_ready.connect
def parent_ready(sender: Any, **kwargs: Any) -> None:
    """Listens for the signal to stop before Celery does, and says every few seconds that it lives."""
    shutdown.listen()
    processes = sender.controller.concurrency if hasattr(sender, "controller") else 1
    queues = ",".join(sorted(sender.app.amqp.queues.consume_from)) if hasattr(sender, "app") else "work"
    # How many processes there are must be known before the first of them takes anything.
    beat(processes, queues)
    threading.Thread(target=beat_until_told, args=(processes, queues), name="heartbeat", daemon=True).start()


def beat_until_told(processes: int, queues: str) -> None:
    """The last beat says that it was told to stop: who finds its leases later must know that no item killed it."""
    while not shutdown.stopping():
        beat(processes, queues)
        shutdown.wait(BEAT)
    while not beat(processes, queues, told=True):
        time.sleep(1)


def beat(processes: int, queues: str, told: bool = False) -> bool:
    """Whether it could be stored that this worker lives, and whether it was told to stop."""
    try:
        Worker.saw(celery_pool.name(), processes, told, queues=queues)
    except DatabaseError as error:
        logger.warning("The heartbeat could not be stored: %s", type(error).__name__)
        return False
    finally:
        # Not kept open: a child forked later must not inherit it.
        connection.close()
    return True


@process_ended.connect
def child_ended(pid: int, **kwargs: Any) -> None:
    """Leaves the rest to the child that takes its place: this process forks, and must not while it stores something."""
    _ended.append((pid, time.monotonic()))


# The children


@signals.worker_process_init.connect
def child_started(**kwargs: Any) -> None:
    """Nothing that was open in the parent is used, and tqdm has a lock of its own."""
    celery_pool.join()
    connections.close_all()
    tqdm.set_lock(threading.RLock())
    tqdm.monitor_interval = 0
    # Of those who died earlier nothing is left to take back, and their ids may be somebody else's by now.
    since = time.monotonic() - settings.JOBS_LEASE_SECONDS
    dead = [process for process, ended in _ended if ended > since]
    if dead:
        reclaim_later(celery_pool.name(), *dead)


def reclaim_later(worker: str, *processes: int) -> threading.Thread:
    """Takes back, in a thread, what these processes of a worker held, or all of it; tries until the lease expires."""
    thread = threading.Thread(target=reclaim, args=(worker, *processes), name="reclaim", daemon=True)
    thread.start()
    return thread


def reclaim(worker: str, *processes: int) -> None:
    """Takes it back in this thread, and returns when that is done or can no longer be."""
    try:
        for process in processes or (None,):
            dialect.retry_while_down(partial(recovery.reclaim, worker, process), settings.JOBS_LEASE_SECONDS)
    except DatabaseError as error:
        logger.warning("The leases of the dead are left to expire: %s", type(error).__name__)
    finally:
        connection.close()


def reclaim_and_tell(worker: str) -> None:
    """The same for all of a worker, in a process that ends with it: viewers are woken before."""
    reclaim(worker)
    events.drain(TOLD)
