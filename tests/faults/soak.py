"""Faults at random for as long as one likes, and what the processes weigh meanwhile."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

from tests.faults.case import Case, processes
from tests.faults.programs import Program, send
from tests.faults.rig import Rig

PAUSE: Final = (5.0, 40.0)  # seconds between two faults
SHORT: Final = (1.0, 10.0)  # seconds that a fault lasts, well below a lease


@dataclass(frozen=True)
class Weight:
    """What the system holds: megabytes and open files of its processes, connections to its servers."""

    megabytes: int
    files: int
    database: int
    broker: int

    @classmethod
    def of(cls, rig: Rig) -> Weight:
        members = [one for program in rig.programs.values() for one in program.family()]
        ((database,),) = rig.rows("SELECT COUNT(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
        client = rig.valkey.client()
        broker = len(client.client_list())
        client.close()
        bytes_, files = (sum(measured(one, what) for one in members) for what in (memory, open_files))
        return cls(bytes_ // 1024**2, files, database, broker)

    def outgrown(self, before: Weight) -> list[str]:
        """What has grown beyond a quarter and some slack, in sentences."""
        slack = {"megabytes": 100, "files": 30, "database": 10, "broker": 10}
        old, new = asdict(before), asdict(self)
        return [f"{name}: {old[name]} → {new[name]}" for name in slack if new[name] > 1.25 * old[name] + slack[name]]


def memory(process: psutil.Process) -> int:
    """What it has for itself: shared pages count for nobody, so that a fork makes no difference."""
    return int(process.memory_full_info().uss)


def open_files(process: psutil.Process) -> int:
    return int(process.num_fds())


def measured(process: psutil.Process, what: Callable[[psutil.Process], int]) -> int:
    try:
        return what(process)
    except psutil.NoSuchProcess:
        return 0


class Chaos:
    """One fault after the other, each fixed before the next one comes."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rig: Rig = case.system
        self.rng = case.rng
        self.done: list[str] = []

    def strike(self) -> None:
        """One fault, drawn by lot."""
        fault: Callable[[], Any] = self.rng.choice([
            self.child, self.worker, self.deploy, self.zombie, self.broker, self.empty_broker, self.frozen_broker,
            self.database, self.no_database, self.web, self.keeper, self.loader, self.replies, self.wakeups, self.disk,
        ])  # fmt: skip
        self.done.append(fault.__name__)
        fault()

    def while_(self) -> None:
        time.sleep(self.rng.uniform(*SHORT))

    def victim(self) -> Program:
        return self.rng.choice(self.rig.workers)

    def child(self) -> None:
        if busy := [pid for pid in self.rig.witness.busy(self.case.code) if psutil.pid_exists(pid)]:
            self.case.kill(processes([self.rng.choice(busy)]))

    def worker(self) -> None:
        worker = self.victim()
        self.case.kill(worker.family())
        self.while_()
        worker.start()

    def deploy(self) -> None:
        self.rig.restart(self.victim())

    def zombie(self) -> None:
        family = self.victim().family()
        self.case.freeze(family)
        self.while_()
        send(family, signal.SIGCONT)

    def broker(self) -> None:
        self.rig.valkey.end()
        self.while_()
        self.rig.valkey.start()

    def empty_broker(self) -> None:
        self.rig.valkey.end()
        self.rig.valkey.forget()
        self.rig.valkey.start()

    def frozen_broker(self) -> None:
        with self.rig.valkey.frozen():
            self.while_()

    def database(self) -> None:
        assert self.rig.postgres
        self.rig.postgres.end(signal.SIGQUIT)
        self.rig.postgres.start()

    def no_database(self) -> None:
        assert self.rig.postgres
        self.rig.postgres.end(signal.SIGINT)
        self.while_()
        self.rig.postgres.start()

    def again(self, program: Program) -> None:
        program.kill()
        program.start()

    def web(self) -> None:
        self.again(self.rig.web)

    def keeper(self) -> None:
        self.again(self.rig.keeper)

    def loader(self) -> None:
        self.again(self.rig.programs["loader"])

    def replies(self) -> None:
        with self.rig.fault("lost-replies", "0.05"):
            self.while_()

    def wakeups(self) -> None:
        with self.rig.fault("lost-wakeups", "0.5"):
            self.while_()

    def disk(self) -> None:
        with self.rig.fault("full-database"):
            self.while_()
