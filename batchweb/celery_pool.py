"""The pool of a worker's processes: Celery's own, which also tells of deaths and may be stopped while it starts.

And the worker's name, which all of them share.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from celery.concurrency.prefork import TaskPool
from celery.utils.dispatch import Signal

# In the parent, before a process is put in the place of the one that ended. Its argument is the process id, `pid`.
process_ended = Signal(name="process_ended", providing_args=["pid"])

_pooled = False


def name_of(process: int) -> str:
    """The name of the worker on this machine whose parent process has this id."""
    return f"{socket.gethostname()}:{process}"


_name = name_of(os.getpid())


def name() -> str:
    """The name of this worker; the children of one pool share it."""
    return _name


def pooled() -> bool:
    """Whether this is a process of a pool, which starts another one where it ends."""
    return _pooled


def begin() -> None:
    """Takes a name of its own: a worker may be a fork of another process."""
    global _name
    _name = name_of(os.getpid())


def join() -> None:
    """Notes that this process belongs to a pool."""
    global _pooled
    _pooled = True


class Pool(TaskPool):
    _pool: Any

    def register_with_event_loop(self, loop: Any) -> None:
        super().register_with_event_loop(loop)
        if self._pool is None:  # told to stop meanwhile
            return
        handle = self._pool.on_process_down

        def down(process: Any) -> None:
            handle(process)
            process_ended.send(sender=self, pid=process.pid)

        self._pool.on_process_down = down

    def did_start_ok(self) -> bool:
        """Whether the processes could start. One that was told to stop has none left to ask, and that is no failure."""
        return self._pool is None or bool(super().did_start_ok())
