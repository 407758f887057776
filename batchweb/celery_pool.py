"""The pool of a worker's processes: Celery's own, which also tells of deaths and may be stopped while it starts."""

from __future__ import annotations

from typing import Any

from celery.concurrency.prefork import TaskPool
from celery.utils.dispatch import Signal

# In the parent, before a process is put in the place of the one that ended. Its argument is the process id, `pid`.
process_ended = Signal(name="process_ended", providing_args=["pid"])


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
