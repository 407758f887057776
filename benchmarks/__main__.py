"""`make bench`: prints tables of ratios. Each pair is measured in turn in the same run; a figure is a median.

`python -m benchmarks --quick` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from benchmarks import engine, road
from benchmarks.table import Table


def machine() -> str:
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 1024 / 1024
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"load {load:.1f} at the start"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: only to see that it runs")
    quick = parser.parse_args().quick
    print(machine())
    tables: list[Table] = [engine.waiting(quick), engine.nothing(quick), road.first_job(quick)]
    for table in tables:
        print(table.text())
    short = [row for table in tables for row in table.short()]
    print(f"{len(short)} rows are short of their bar." if short else "Every row reaches its bar.")
    sys.exit(bool(short) and not quick)


if __name__ == "__main__":
    main()
