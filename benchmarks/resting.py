"""Table 8: a system with nothing to do: what it takes of memory and of a core, and how soon it is there."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from batchweb.kernel import die_with_parent
from benchmarks import machine
from benchmarks.bench import Bench, answers
from benchmarks.table import Table
from tests.services.valkey import valkey
from tests.system import ROOT, System, command, free_port, until

# The parts of a system, by words of their command lines; what comes first counts.
PARTS: Final = {
    "web": "batchweb.server", "keeper": "django keep", "worker": "-Q work ", "loader": "-Q load ",
    "valkey": "--unixsocket", "guardian": "guardian.py", "supervisor": "manage.py up",
}  # fmt: skip
# The limit: the least that a process of ours can be.
BARE: Final = "import sys, django.core.asgi, django.db.models, celery.apps.worker; print(flush=True); sys.stdin.read()"
PROCESSES: Final = 6  # of workers and loaders
QUIET: Final = 65  # seconds after which a keeper has noticed that nothing goes on


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes take while they rest: MB together (PSS), share of a core in percent, wake-ups a second."""

    processes: int
    memory: float
    core: float
    wakeups: float

    def __str__(self) -> str:
        return f"{self.processes} × {self.memory / self.processes:.0f} MB, {self.core:.2f} %, {self.wakeups:.1f}/s"


def tables(bench: Bench) -> Iterator[Table]:
    quiet, seconds = bench.size(QUIET, 1), bench.size(60, 1)
    bare, importing = alone()
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as name:
        system = System(Path(name), free_port())
        first, *later = (start(system) for _ in range(1 + bench.rounds(3)))
        try:
            own = usages(system.process.pid, quiet, seconds)
        finally:
            system.stop()
        with stock(Path(name) / "var") as parents:
            peer = usage([pid for parent in parents for pid in family(parent)], quiet, seconds)
    table = Table("8. A system at rest: memory (PSS), share of a core, wake-ups, and seconds until its page answers")
    compare(table, own, bare, peer)
    for what, took, bar in (("first start", first, None), ("second start", statistics.median(later), 2.5)):
        table.add(what, took, bar, unit="s", note=f"{took / importing:.1f} × the limit", most=True)
    table.say(f"The limit: one process that has imported Django and Celery, {bare:.0f} MB after {importing:.2f} s.")
    table.say(f"Stock: `celery worker -c {PROCESSES}` and `uvicorn` over the same app, nobody watching them: {peer}.")
    table.say(f"The use was measured once, over {seconds} s that began {quiet} s after the start.")
    yield table


def compare(table: Table, own: dict[str, Usage], bare: float, peer: Usage) -> None:
    memory, core, wakeups = (sum(getattr(one, name) for one in own.values()) for name in ("memory", "core", "wakeups"))
    note = f"{memory / bare:.1f} × the limit, {memory / peer.memory:.2f} × stock"
    table.add("memory in all", memory, 280, unit="MB", note=note, most=True)
    for name, one in own.items():
        table.add(f"  {name}", one.memory, unit="MB", note=str(one))
    table.add("share of a core", core, 0.5, unit="%", note=f"{core / peer.core:.2f} × stock", most=True)
    table.add("wake-ups a second", wakeups, unit="", note=f"{wakeups / peer.wakeups:.2f} × stock")


def start(system: System) -> float:
    """Stops the system if it runs; the seconds of the start that follows until the page answers."""
    if hasattr(system, "process"):
        system.stop()
    begun = time.monotonic()
    system.start()
    until(lambda: answers(f"{system.url}/healthz"), 60, "the page answers")
    return time.monotonic() - begun


def alone() -> tuple[float, float]:
    """The memory of the limit, and the seconds until it has imported what it does."""
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        return machine.together([process.pid]), time.monotonic() - begun


@contextmanager
def stock(folder: Path) -> Iterator[Sequence[int]]:
    """The same app by the commands of its tools, with the data in `folder`: the processes that were started."""
    port = free_port()
    with valkey() as url:
        environment = os.environ | {"DATA_DIR": str(folder), "REDIS_URL": url}
        commands = (
            ["celery", "-A", "batchweb", "worker", "-Q", "work,load", "-P", "prefork", "-c", str(PROCESSES)],
            ["uvicorn", "batchweb.asgi:application", "--port", str(port)],
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *words], cwd=ROOT, env=environment, preexec_fn=die_with_parent,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for words in commands
        ]  # fmt: skip
        try:
            until(lambda: len(family(processes[0].pid)) > PROCESSES, 60, "the workers are there")
            until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), 60, "the page answers")
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
                process.wait(30)


def family(parent: int) -> list[int]:
    """A process and all that it started."""
    process = psutil.Process(parent)
    return [parent, *(child.pid for child in process.children(recursive=True))]


def part(pid: int) -> str:
    words = " ".join(command(psutil.Process(pid)))
    return next((name for name, sign in PARTS.items() if sign in words), "other")


def usages(parent: int, quiet: float, seconds: float) -> dict[str, Usage]:
    """The usage of each part of a system, over so many seconds that begin when it has been quiet for a while."""
    time.sleep(quiet)
    pids = family(parent)
    parts: dict[str, list[int]] = {name: [] for name in (*reversed(PARTS), "other")}
    for pid in pids:
        parts[part(pid)].append(pid)
    before = {name: spent(each) for name, each in parts.items()}
    time.sleep(seconds)
    return {name: since(before[name], each, seconds) for name, each in parts.items() if each}


def usage(pids: Sequence[int], quiet: float, seconds: float) -> Usage:
    """The same of processes together."""
    time.sleep(quiet)
    before = spent(pids)
    time.sleep(seconds)
    return since(before, pids, seconds)


def since(before: tuple[float, int], pids: Sequence[int], seconds: float) -> Usage:
    run, woken = spent(pids)
    share = (run - before[0]) / seconds * 100
    return Usage(len(pids), machine.together(pids), share, (woken - before[1]) / seconds)


def spent(pids: Sequence[int]) -> tuple[float, int]:
    """The seconds that all their threads have run, and how often they went to sleep by themselves."""
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    run = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    return run, sum(int(machine.of(str(thread / "status"), "voluntary_ctxt_switches")) for thread in threads)
