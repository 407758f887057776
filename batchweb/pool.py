"""The pool of a worker's processes: Celery's own, but for a stop that comes while it starts."""

from typing import Any

from celery.concurrency.prefork import TaskPool


class Pool(TaskPool):
    _pool: Any

    def did_start_ok(self) -> bool:
        """Whether the processes could start. One that was told to stop has none left to ask, and that is no failure."""
        return self._pool is None or bool(super().did_start_ok())
