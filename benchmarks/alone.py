"""One contestant in a process of its own, so that its memory is its own.

`python -m benchmarks.alone WHO ITEMS WORKERS`: WHO is `module:function`, called like the recipe. Prints the seconds
that it took and the peak of the process in MB.
Imports next to nothing, for that would count as the contestant's memory.
"""

from __future__ import annotations

import importlib
import os
import sys
import time

from benchmarks.functions import nothing
from benchmarks.machine import peak


def main(who: str, items: int, workers: int) -> None:
    module, _, name = who.partition(":")
    way = getattr(importlib.import_module(module), name)
    begun = time.perf_counter()
    way(range(items), nothing, workers)
    print(time.perf_counter() - begun, peak([os.getpid()]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
