"""`make bench`: prints tables of figures, each with the bar that it has to reach, and each as soon as it is measured.

`python -m benchmarks NAME…` measures some of them. `--quick` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks import (
    admin,
    chat,
    checking,
    computing,
    items,
    loading,
    machine,
    mapping,
    nothing,
    resting,
    road,
    scaling,
    storing,
    taking,
    waiting,
    watching,
)
from benchmarks.bench import Bench
from benchmarks.table import Table

TABLES: Mapping[str, Callable[[Bench], Iterator[Table]]] = {
    "chat": chat.tables,
    "waiting": waiting.tables,
    "nothing": nothing.tables,
    "storing": storing.tables,
    "memory": storing.memory,
    "loading": loading.tables,
    "checking": checking.tables,
    "map": mapping.tables,
    "items": items.tables,
    "taking": taking.tables,
    "admin": admin.tables,
    "computing": computing.tables,
    "scaling": scaling.tables,
    "road": road.tables,
    "watching": watching.tables,
    "resting": resting.tables,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Prints tables of figures and their bars.")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: only to see that it runs")
    names = ", ".join(TABLES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which tables; all unless named: {names}")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in TABLES]:
        parser.error(f"there is no table {', '.join(unknown)}; there are: {names}")
    short = measured(chosen.names or list(TABLES), chosen.quick)
    print(verdict(short, chosen.quick))
    sys.exit(bool(short))


def measured(names: Sequence[str], quick: bool) -> int:
    """Measures and prints these tables; returns how many figures are short of their bar or could not be had at all.

    Where it is to be quick, no figure is short: their sizes are too small to mean anything.
    """
    print(machine.described(), flush=True)
    short = 0
    with Bench(quick) as bench:
        for name in names:
            begun = time.monotonic()
            try:
                short += sum(shown(table, quick) for table in TABLES[name](bench))
            except Exception:
                # What took half an hour so far is not thrown away for it.
                traceback.print_exc(limit=-3)
                print(f"\n{name}: SHORT, for it could not be measured")
                short += 1
            rounds = "in one round" if quick else f"the median of {bench.rounds()} rounds unless a line says otherwise"
            print(
                f"  ({name}: {rounds}; {time.monotonic() - begun:.0f} s; load {machine.load():.1f} after)", flush=True
            )
    return short


def shown(table: Table, quick: bool) -> int:
    """Prints the table; returns how many of its rows are short of their bar."""
    print(table.text(judged=not quick), flush=True)
    return 0 if quick else len(table.short())


def verdict(short: int, quick: bool) -> str:
    if short:
        return f"\n{short} {'row is' if short == 1 else 'rows are'} short of the bar."
    return "\nEverything runs; sizes as small as these say nothing more." if quick else "\nEvery row reaches its bar."


if __name__ == "__main__":
    main()
