"""A shard's row: its counts, which follow from its cells, and what stands on it while nobody holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from jobs.models import latency_histogram
from jobs.models.states import CELL_FALLBACK, CELL_RETRYING, ItemState
from jobs.store.dialect import Raw, execute, for_update

PENDING_CELLS: Final = (int(ItemState.PENDING), CELL_RETRYING)
# What the leases of one task share stands on its last one; on the others, and on shards that nobody holds, this.
NOTHING_SHARED: Final[dict[str, Any]] = {
    "share": 0, "rate": 0.0, "running": 0, "rerunning": 0, "in_flight": "[]", "throttled": None,
}  # fmt: skip


def lock_job_shards(job: int) -> list[int]:
    """Keeps everybody from the job's shards until the transaction ends."""
    return [row[0] for row in execute(f"SELECT id FROM jobs_shard WHERE job_id = %s ORDER BY id {for_update()}", [job])]


def counts(cells: bytes | bytearray) -> dict[str, int]:
    """A shard's counts, which are those of its cells."""
    retrying, fallbacks = cells.count(CELL_RETRYING), cells.count(CELL_FALLBACK)
    return {
        "pending": cells.count(ItemState.PENDING) + retrying,
        "retrying": retrying,
        "succeeded": cells.count(ItemState.SUCCEEDED),
        "failed": cells.count(ItemState.FAILED) + fallbacks,
        "rejected": cells.count(ItemState.REJECTED),
        "fallbacks": fallbacks,
    }


def save_shard(shard: int, cells: bytes | bytearray | None = None, **fields: Any) -> None:
    """Writes `fields`, and where `cells` changed, them and the counts that follow. A Raw value is put in as SQL."""
    values = fields if cells is None else {"cells": bytes(cells), **counts(cells), **fields}
    sets = ", ".join(f"{name} = {value.sql if isinstance(value, Raw) else '%s'}" for name, value in values.items())
    parameters = [value for value in values.values() if not isinstance(value, Raw)]
    execute(f"UPDATE jobs_shard SET {sets} WHERE id = %s", [*parameters, shard])


def given_back(due: Any) -> dict[str, Any]:
    """The fields of a shard that nobody holds; all that is pending in it waits until `due`."""
    return {"token": "", "worker_id": None, "process": 0, "claimed": "[]", "due": due, "expires": None,
            **NOTHING_SHARED}  # fmt: skip


def observe(histogram_data: bytes, durations: Iterable[float]) -> bytes:
    return latency_histogram.add(latency_histogram.load(histogram_data), durations).tobytes()
