"""Table 3: the engine by itself, with items that do nothing: what it costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.contest import Contest, Contestant, Sample
from benchmarks.table import Table
from tests.system import ROOT

WORKERS = 10
OURS = {"run": "benchmarks.ours:run", "batch_process_parallel": "benchmarks.ours:batch_process_parallel"}
RECIPE = "benchmarks.recipe:recipe"
PEERS = {"executor.map": "benchmarks.recipe:mapped", "joblib": "benchmarks.peers:joblib_threads"}


def tables(bench: Bench) -> Iterator[Table]:
    table = Table("3. The engine, items that do nothing, 10 workers: times the recipe's items a second, peak memory")
    for count in (bench.size(100_000, 2_000), bench.size(1_000_000, 5_000)):
        compare(table, bench, count)
    table.say("Each in a fresh process. At the larger size executor.map and joblib run once, for they take long.")
    yield table


def compare(table: Table, bench: Bench, count: int) -> None:
    ways = OURS | {"the recipe": RECIPE} | PEERS
    contestants = {name: alone(who, count, WORKERS) for name, who in ways.items()}
    contest = Contest(contestants, bench.rounds(), once=PEERS if count > 100_000 else ())
    figures = {name: f"{contest.rate(name):,.0f}/s {contest.peak(name):,.0f} MB" for name in ways}
    peers = ", ".join(f"{name} {figures[name]}" for name in list(ways)[2:])
    for ours in OURS:
        times = contest.times(ours, "the recipe")
        table.add(
            f"{count:,}: {ours}",
            times,
            12,
            unit="×",
            note=f"{figures[ours]}; {peers}" * (ours == "run") or figures[ours],
        )
        table.add(f"{count:,}: {ours}, peak", contest.peak(ours), 150, unit="MB", most=True)


def alone(who: str, items: int, workers: int) -> Contestant:
    """A contestant that runs in a fresh process each time. What it draws goes nowhere."""

    def measure() -> Sample:
        command = [sys.executable, "-m", "benchmarks.alone", who, str(items), str(workers)]
        said = subprocess.run(
            command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        seconds, peak = map(float, said.stdout.split())
        return Sample(items, seconds, peak)

    return measure
