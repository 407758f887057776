"""The other way with the same tools: one Celery task for each item, and the results of the group collected in order.

`celery -A benchmarks.one_task_each worker` runs the tasks, `python -m benchmarks.one_task_each ITEMS` sends them and
prints the seconds until the last result is there. PEER_BROKER and PEER_RESULTS say by which ways.
"""

from __future__ import annotations

import os
import sys
import time

import django
from celery import Celery, group

app = Celery("one_task_each", broker=os.environ.get("PEER_BROKER"), backend=os.environ.get("PEER_RESULTS"))
app.conf.update(task_serializer="json", result_serializer="json", worker_enable_remote_control=False)


@app.task(name="nothing")
def nothing(item: int) -> int:
    return item


def main(count: int) -> None:
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        django.setup()  # a worker does this by itself
    begun = time.perf_counter()
    sent = group(nothing.s(item) for item in range(count)).apply_async()
    results = sent.get(interval=0.01)
    took = time.perf_counter() - begun
    assert results == list(range(count))
    print(took)


if __name__ == "__main__":
    main(int(sys.argv[1]))
