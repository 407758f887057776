"""One fault, one job: what is done to it, how long it takes to go on, and what is left in the end."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from tests.faults.audit import Audit, Expected
from tests.faults.programs import Program, alive, send
from tests.system import until

ROWS: Final = 2_000
SECONDS: Final = 0.2  # of one item; with 60 at a time the whole job takes about 7 seconds
PATIENCE: Final = 120.0
ACCEPTED: Final = 10.0  # seconds that an upload may take, whatever else is wrong
UNSAVED: Final = 1.5  # seconds for which results may be in memory only


@dataclass
class Row:
    """A line of the table in the end."""

    fault: str
    limit: float | None = None
    recovery: float | None = None
    repeated: int = 0
    excused: int = 0
    lost: int | None = None
    invariants: str = "?"
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Case:
    """A job in a system, and the fault that comes over it."""

    def __init__(self, system: Any, fault: str, seed: str) -> None:
        self.system = system
        self.rng = random.Random(seed)
        self.row = Row(fault)
        self.nonce = self.rng.randrange(10**9)
        self.code = ""
        self.begun = time.monotonic()
        self.excused: set[int] = set()

    def age(self) -> float:
        return time.monotonic() - self.begun

    # The job

    def begin(
        self, rows: int = ROWS, fates: Mapping[int, str] | None = None, seconds: float = SECONDS, **fields: object
    ) -> str:
        """Makes the job and lets the viewers look at it; `fates` says what becomes of single rows."""
        fates = fates or {}
        self.names = [f"item {at} of {self.nonce}" for at in range(rows)]
        text = "name,fate\n" + "".join(f"{name},{fates.get(at, '')}\n" for at, name in enumerate(self.names))
        self.code = self.submit(text, param_seconds=seconds, **fields)
        self.system.follow(self.code)
        return self.code

    def submit(self, text: str, **fields: object) -> str:
        answer = self.system.upload(self.system.admin, text, **fields)
        assert answer.status_code == 200, answer.text[:500]
        return str(answer.json()["url"].split("/")[2])

    def moment(self, low: float = 0.1, high: float = 0.6) -> None:
        """Returns at a random moment of the job, between these shares of its items."""
        wanted = int(len(self.names) * self.rng.uniform(low, high))
        until(lambda: self.system.witness.ended(self.code) >= wanted, 60, f"{wanted} items have ended")

    def second(self, rows: int = 20) -> str:
        """Another job, made while something is wrong: it must be accepted all the same."""
        begun = time.monotonic()
        code = self.submit("name,fate\n" + "".join(f"second {at},\n" for at in range(rows)), param_seconds=0.05)
        taken = time.monotonic() - begun
        self.check(taken < ACCEPTED, f"an upload was accepted after {taken:.1f} s only")
        return code

    def starts(self, code: str, limit: float, since: float) -> None:
        """Waits for the first end of an item of another job, which must come so many seconds after `since`."""
        ends = self.system.witness.lines
        self.recovers(limit, lambda: next((line.at - since for line in ends(code, "end")), None))

    # Deaths

    def at_work(self) -> list[int]:
        """The processes that hold items of the job, in a random order."""
        pids = sorted(self.system.witness.busy(self.code))
        found = [pid for pid in pids if alive(pid)]
        assert found, "nobody works on the job"
        return self.rng.sample(found, len(found))

    def worker_of(self, pid: int) -> Program:
        """The worker that the process belongs to."""
        found: Program = next(one for one in self.system.workers if pid in {member.pid for member in one.family()})
        return found

    def held_by(self, pids: Collection[int]) -> set[int]:
        """All positions of the shards that these processes hold, but for those that have ended."""
        done = {line.position for line in self.system.witness.lines(self.code, "end")}
        shards = self.system.of_job(self.code, "start, stop", "shard", "AND token <> ''")
        mine = [range(*shard) for shard in shards if self.system.witness.holder(self.code, *shard) in pids]
        return {at for shard in mine for at in shard} - done

    def claimed_by(self, pids: Collection[int | None]) -> set[int]:
        """What these processes have claimed; `None` stands for shards that nobody has begun with."""
        shards = self.system.of_job(self.code, "start, stop, claimed", "shard", "AND token <> ''")
        mine = [claimed for *ends, claimed in shards if self.system.witness.holder(self.code, *ends) in pids]
        return {position for claimed in mine for position in json.loads(claimed)}

    def freeze(self, processes: Sequence[psutil.Process]) -> set[int]:
        """Stops the processes where they are, and returns what they have claimed."""
        send(processes, signal.SIGSTOP)
        time.sleep(0.1)  # a commit that was on its way arrives
        pids = {process.pid for process in processes}
        self.excused |= self.claimed_by({None, *pids})
        return self.claimed_by(pids)

    def kill(self, processes: Sequence[psutil.Process]) -> Callable[[], float | None]:
        """Ends them at once. What comes back tells the seconds until the first item that they had has ended."""
        held = self.freeze(processes)
        dead, since = {process.pid for process in processes}, time.monotonic()
        send(processes, signal.SIGKILL)
        return lambda: self.first_end(since, held, dead)

    def dead(self) -> set[int]:
        """The processes that worked on the job and are no more."""
        return {pid for pid in {line.pid for line in self.system.witness.lines(self.code)} if not alive(pid)}

    def excuse_the_dead(self) -> None:
        """What processes that are gone by now were at in the end, where nobody could stop them to look."""
        lines = self.system.witness.lines(self.code)
        last, dead = {line.pid: line.at for line in lines}, self.dead()
        self.excused |= {line.position for line in lines if line.pid in dead and line.at > last[line.pid] - UNSAVED}

    def recoveries(self) -> int:
        """How often somebody's items were taken back because nobody heard of him."""
        return int(self.system.of_job(self.code, "COUNT(*)", "activity", "AND verb = 'recover'")[0][0])

    # How long it takes

    def first_end(self, since: float, among: Collection[int] = (), without: Collection[int] = ()) -> float | None:
        """Seconds from `since` to the first end of an item that was started after it."""
        lines = self.system.witness.lines(self.code)
        begun = {(line.position, line.pid) for line in lines if line.word == "start" and line.at > since}
        for line in lines:
            known = (line.position, line.pid) in begun and line.pid not in without
            if line.word == "end" and known and (not among or line.position in among):
                return line.at - since
        return None

    def first_start(self, since: float, among: Collection[int], without: Collection[int]) -> float | None:
        """Seconds from `since` to the first start of one of these items after it."""
        starts = self.system.witness.lines(self.code, "start")
        mine = (line for line in starts if line.at > since and line.position in among and line.pid not in without)
        return next((line.at - since for line in mine), None)

    def first_stored(self, since: float) -> float | None:
        """Seconds from `since`, a time of the wall clock, to the first thing that was stored after it."""
        epoch = "EXTRACT(EPOCH FROM created)" if self.system.database else "(julianday(created) - 2440587.5) * 86400"
        found = self.system.of_job(self.code, f"MIN({epoch})", "batch", f"AND {epoch} > {since}")[0][0]
        return None if found is None else float(found) - since

    def recovers(self, limit: float, measure: Callable[[], float | None]) -> None:
        """Waits for it to go on, and notes how long that took."""
        self.row.limit = limit
        try:
            until(lambda: measure() is not None, max(2 * limit, PATIENCE))
        except AssertionError:
            self.row.wrong.append("it never went on")
            return
        self.row.recovery = measure()
        if self.row.recovery is not None and self.row.recovery > limit:
            self.row.wrong.append(f"it went on after {self.row.recovery:.1f} s; the promise is {limit:g} s")

    # The end

    def settles(self, patience: float = PATIENCE) -> str:
        """The state in which the job comes to rest."""
        return str(until(lambda: self.system.at_rest(self.code), patience, f"job {self.code} is at rest"))

    def expect(self, state: str = "finished", patience: float = PATIENCE, **expected: Any) -> None:
        """Waits for the end, and compares all that tells of it. What is wrong is told by `conclude`."""
        try:
            found = self.settles(patience)
        except AssertionError as error:
            found = f"{self.system.state(self.code)} ({error})"
        if found != state:
            self.row.wrong.append(f"the job is {found}, not {state}")
        made = Expected(self.names, repeated=self.excused, **expected)
        self.conclude(Audit(self.system, self.code, made))

    def conclude(self, audit: Audit) -> None:
        row = self.row
        # A soak may have several jobs, one after the other.
        row.lost = (row.lost or 0) + audit.lost
        row.repeated += audit.repeated
        row.excused += len(self.excused)
        row.invariants = "differ" if audit.invariants.returncode else "hold"
        row.wrong += audit.wrong()
        assert not row.wrong, "; ".join(row.wrong)

    def check(self, fact: object, sentence: str) -> None:
        """Notes what is wrong, and goes on."""
        if not fact:
            self.row.wrong.append(sentence)


def processes(pids: Iterable[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids]
