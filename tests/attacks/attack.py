"""One attack: what it sends, what it is told, what others noticed, and its line in the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx

from tests.attacks.observers import RATIO, Bystander, Watch, by_path, complaints, p99
from tests.attacks.target import Target
from tests.system import csv_of, until

Made = TypeVar("Made")
TRACE: Final = "Traceback (most recent call last)"
QUIET: Final = 2.0  # seconds for which the bystander reads before it begins
STARTS: Final = 10.0  # seconds in which the jobs of others start
PASSES: Final = 90.0  # seconds in which they end in any case


@dataclass
class Row:
    """A line of the table in the end."""

    name: str
    requests: int = 0
    sent: int = 0
    slowest: float = 0.0
    statuses: list[int] = field(default_factory=list)
    health: str = "-"
    pages: str = "-"
    growth: int = 0
    temporary: int = 0
    processes: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Attack:
    """Use it as a context manager around what is done: leaving the block fails where others noticed it."""

    def __init__(self, target: Target, name: str, paths: Sequence[str]) -> None:
        self.target = target
        self.row = Row(name)
        self.bystander = Bystander(target, paths)
        self.watch = Watch(target)

    def __enter__(self) -> Attack:
        self.quiet = self.bystander.quiet(QUIET)
        self.watch.begin()
        self.begun = time.monotonic()
        self.bystander.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        visits = self.bystander.end()
        self.watch.end()
        row = self.row
        row.seconds = time.monotonic() - self.begun
        row.wrong += complaints(self.quiet, visits) + self.watch.complaints()
        row.health, row.pages = (compared(self.quiet, visits, health) for health in (True, False))
        row.growth, row.temporary, row.processes = self.watch.growth(), self.watch.highest, len(self.watch.most)
        if error is not None:
            row.wrong.append(f"it broke off: {error}"[:300])
        else:
            assert not row.wrong, "; ".join(row.wrong)

    # What the attacker does

    def ask(self, client: httpx.Client, method: str, path: str, **sent: Any) -> httpx.Response | None:
        """Asks for something; whatever it is, the answer must be a sentence and not an accident."""
        begun = time.monotonic()
        try:
            answer = client.request(method, path, headers=headers(client, self.target), **sent)
        except httpx.HTTPError as error:
            self.note(method, path, begun, 0)
            self.check(False, f"{method} {path[:60]} was not answered: {type(error).__name__}")
            return None
        self.note(method, path, begun, answer.status_code, size(answer.request))
        self.told(answer)
        return answer

    def told(self, answer: httpx.Response) -> None:
        """Checks that the answer is one for people."""
        said = answer.text
        what = f"{answer.request.method} {answer.request.url.path[:60]} was answered with {answer.status_code}"
        self.check(answer.status_code not in (500, 502, 504), what)
        self.check(TRACE not in said, f"{what} and a traceback")
        self.check(answer.status_code < 400 or said.strip(), f"{what} and no word")

    def note(self, method: str, path: str, begun: float, status: int, sent: int = 0) -> None:
        self.row.requests += 1
        self.row.sent += sent
        self.row.slowest = max(self.row.slowest, time.monotonic() - begun)
        self.row.statuses.append(status)

    def check(self, fact: object, sentence: str) -> None:
        """Notes what is wrong, once, and goes on."""
        if not fact and sentence not in self.row.wrong:
            self.row.wrong.append(sentence)

    def together(self, calls: Iterable[Callable[[], Made]], at_once: int = 50) -> list[Made]:
        """All of these side by side."""
        with ThreadPoolExecutor(at_once) as pool:
            return [made.result() for made in [pool.submit(call) for call in calls]]

    # What others do meanwhile

    def others_pass(self, still: Callable[[], object] | None = None) -> None:
        """A job of the bystander goes from its file to its end meanwhile.

        With `still`, before the attack is over; else in ten seconds, or ten times as long as without the attack.
        """
        try:
            taken = small_job(self.target)
        except AssertionError as error:
            self.row.wrong.append(str(error))
            return
        if still is not None:
            assert still(), "The attack was over too soon to say anything."
        elif taken > STARTS and taken > RATIO * self.target.usual:
            self.row.wrong.append(f"a small job of others takes {taken:.1f} s instead of {self.target.usual:.1f} s")


def small_job(target: Target) -> float:
    """How many seconds a job of the bystander takes, from its file to its end."""
    begun = time.monotonic()
    code = target.bystanders_job = target.job("bea", csv_of(5), param_seconds=0.01)
    until(lambda: target.state("bea", code) == "finished", PASSES, "the job of somebody else has ended")
    return time.monotonic() - begun


def headers(client: httpx.Client, target: Target) -> dict[str, str]:
    return {"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": target.url, "Accept": "text/html"}


def size(request: httpx.Request) -> int:
    return int(request.headers.get("Content-Length") or 0) + len(str(request.url))


def compared(quiet: Sequence[Any], under: Sequence[Any], health: bool) -> str:
    """The slowest address of these, before and meanwhile, in milliseconds."""
    before, now = by_path(quiet), by_path(under)
    paths = [path for path in now if (path == "/healthz") == health]
    pairs = [(p99(now[path]), p99(before.get(path, ()))) for path in paths]
    worst = max(pairs, default=(0.0, 0.0))
    return f"{worst[1] * 1000:.0f} → {worst[0] * 1000:,.0f} ms"
