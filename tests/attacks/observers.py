"""Who looks on while a system is attacked: a bystander at its pages, and one who counts memory and temporary files."""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

import psutil

from tests.attacks.target import ELSEWHERE, HERE, Target

PAUSE: Final = 0.05  # seconds between two pages of the bystander
LATEST: Final = 30.0  # seconds after which a page counts as an error
FLOOR: Final = 1.0  # seconds that every page may take
RATIO: Final = 10.0  # how many times as slow as without the attack it may be, above the floor
GROWTH: Final = 300_000_000  # bytes that a process may grow by
FRESH: Final = 110_000_000  # bytes that a new process of the product has before it does anything
SAMPLED: Final = 0.2  # seconds between two looks at the processes
SWEPT: Final = 10.0  # seconds after its request that a temporary file has left


class Visit(NamedTuple):
    """One page that was asked for: how many seconds it took, and what the status was; 0 for no answer."""

    path: str
    seconds: float
    status: int


class Line:
    """A connection that is kept, as a browser keeps it. One that was closed is opened once again."""

    def __init__(self, target: Target, cookie: str) -> None:
        self.http = http.client.HTTPConnection(HERE, target.port, LATEST, source_address=(ELSEWHERE, 0))
        self.cookie = cookie

    def port(self) -> int:
        """Ours, by which the web server at the other end is told; 0 when it is not open."""
        return int(self.http.sock.getsockname()[1]) if self.http.sock else 0

    def visit(self, path: str) -> Visit:
        begun = time.monotonic()
        status = self._status(path)
        if not status and time.monotonic() - begun < LATEST:
            status = self._status(path)
        return Visit(path, time.monotonic() - begun, status)

    def _status(self, path: str) -> int:
        try:
            self.http.request("GET", path, headers={"Cookie": self.cookie})
            answer = self.http.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.http.close()
            return 0
        return answer.status


class Bystander:
    """Somebody else, who reads pages all the time: on one connection to each web server, so that none can hide."""

    def __init__(self, target: Target, paths: Sequence[str], name: str = "bea") -> None:
        self.paths = paths
        client = target.as_(name)
        cookie = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
        self.lines = one_for_each(target, cookie)
        self.visits: list[Visit] = []

    def quiet(self, seconds: float) -> list[Visit]:
        """What the pages take while nothing happens."""
        self.begin()
        time.sleep(seconds)
        return self.end()

    def begin(self) -> None:
        self.visits = []
        self.leaving = threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(line,), daemon=True) for line in self.lines]
        for thread in self.threads:
            thread.start()

    def end(self) -> list[Visit]:
        """All visits since `begin`, the ones under way too."""
        self.leaving.set()
        for thread in self.threads:
            thread.join()
        return self.visits

    def _read(self, line: Line) -> None:
        while not self.leaving.is_set():
            for path in self.paths:
                self.visits.append(line.visit(path))
                self.leaving.wait(PAUSE)


def one_for_each(target: Target, cookie: str) -> list[Line]:
    """An open connection to each of the web servers, which take from one socket whoever comes."""
    found: dict[int, Line] = {}
    webs = target.webs()
    for _ in range(200):
        line = Line(target, cookie)
        line.visit("/healthz")
        owner = next((web.pid for web in webs if line.port() in ports_at(web)), 0)
        if owner not in found:
            found[owner] = line
        else:
            line.http.close()
        if len(found) >= len(webs):
            break
    return list(found.values())


def ports_at(web: psutil.Process) -> set[int]:
    """The ports at the other ends of its connections."""
    with suppress(psutil.Error):
        return {connection.raddr.port for connection in web.net_connections("tcp") if connection.raddr}
    return set()


def p99(seconds: Iterable[float]) -> float:
    """The 99th percentile. A page of many seconds stands also for those that nobody could ask for meanwhile."""
    every = sorted(at for taken in seconds for at in waits(taken))
    return every[min(len(every) - 1, int(len(every) * 0.99))] if every else 0.0


def waits(taken: float) -> list[float]:
    """What visits at the usual pace would have waited, had they come while this one did."""
    return [taken - PAUSE * at for at in range(int(taken / PAUSE) + 1)]


def by_path(visits: Iterable[Visit]) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for visit in visits:
        found[visit.path].append(visit.seconds)
    return found


def complaints(quiet: Sequence[Visit], under: Sequence[Visit]) -> list[str]:
    """What the bystander would say: errors, and pages that take more than a second and ten times as long as before."""
    before, wrong = by_path(quiet), []
    for path, seconds in by_path(under).items():
        usual, now = p99(before.get(path, ())), p99(seconds)
        if now > FLOOR and now > RATIO * usual:
            wrong.append(f"{path} takes others {now:.1f} s instead of {usual:.2f} s")
    errors = sorted({(visit.path, visit.status) for visit in under if visit.status != 200})
    return wrong + [f"{path} answers others with {status or 'nothing'}" for path, status in errors]


class Watch:
    """Counts, several times a second, what each process of a system takes, and what stands in its temporary folder."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.first: dict[int, int] = {}
        self.most: dict[int, int] = {}
        self.named: dict[int, str] = {}
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self._look_on, daemon=True)

    def begin(self) -> None:
        self.before = set(temporary_files(self.target))
        self.highest = 0
        self._sample(new=False)
        self.thread.start()

    def end(self) -> None:
        self.leaving.set()
        self.thread.join()
        self._sample()

    def _look_on(self) -> None:
        while not self.leaving.wait(SAMPLED):
            self._sample()

    def _sample(self, new: bool = True) -> None:
        for process in self.target.tree():
            with suppress(psutil.Error):
                size = process.memory_info().rss
                known = self.first.setdefault(process.pid, min(size, FRESH) if new else size)
                self.most[process.pid] = max(self.most.get(process.pid, known), size)
                self.named.setdefault(process.pid, " ".join(process.cmdline())[:120])
        self.highest = max(self.highest, sum(self.left().values()))

    def growth(self) -> int:
        """By how many bytes the process grew that grew most."""
        return max((most - self.first[pid] for pid, most in self.most.items()), default=0)

    def left(self) -> dict[str, int]:
        """The temporary files that were not there before, with their sizes."""
        return {path: size for path, size in temporary_files(self.target).items() if path not in self.before}

    def swept(self) -> dict[str, int]:
        """What is left of them when they have had their time to go."""
        deadline = time.monotonic() + SWEPT
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def complaints(self) -> list[str]:
        grown = {pid: most - self.first[pid] for pid, most in self.most.items() if most - self.first[pid] > GROWTH}
        wrong = [f"a process grew by {size / 1e6:,.0f} MB: {self.named.get(pid, pid)}" for pid, size in grown.items()]
        if left := self.swept():
            wrong.append(f"{len(left)} temporary files of {sum(left.values()) / 1e6:,.1f} MB are left: {min(left)}")
        return wrong


def temporary_files(target: Target) -> dict[str, int]:
    """Path → bytes, of what stands in the folder and of what is open in it without a name."""
    found: dict[str, int] = {}
    for path in target.temporary.rglob("*"):
        with suppress(OSError):
            if S_ISREG((known := path.stat()).st_mode):
                found[str(path)] = known.st_size
    for process in target.tree():
        found |= nameless(process.pid, str(target.temporary))
    return found


def nameless(pid: int, folder: str) -> dict[str, int]:
    """Open files of a process that were deleted, or never had a name; Linux tells."""
    found = {}
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                name = os.readlink(entry.path)
                if name.startswith(folder) and name.endswith(" (deleted)"):
                    found[name] = Path(entry.path).stat().st_size
    return found
