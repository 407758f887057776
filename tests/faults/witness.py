"""Reads the ledger: what really ran, whatever the database says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """An item started or ended; `at` is by the machine's monotonic clock."""

    word: str
    code: str
    position: int
    attempt: int
    run: int
    pid: int
    at: float


class Witness:
    """Follows the ledger's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self._read = 0
        self._lines: dict[str, list[Line]] = {}

    def lines(self, code: str, word: str = "") -> list[Line]:
        """All lines of a job in the order of their writing."""
        self._follow()
        return [line for line in self._lines.get(code, ()) if word in ("", line.word)]

    def _follow(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for text in whole.decode().splitlines():
            line = parsed(text)
            self._lines.setdefault(line.code, []).append(line)

    def ended(self, code: str) -> int:
        return len(self.lines(code, "end"))

    def repeated(self, code: str) -> dict[int, int]:
        """Position → how often it was started, for those that were started twice in one run."""
        starts = Counter((line.position, line.run) for line in self.lines(code, "start"))
        return {position: count for (position, _), count in starts.items() if count > 1}

    def busy(self, code: str) -> dict[int, set[int]]:
        """Process → the positions it is at."""
        open_: dict[tuple[int, int], int] = {}
        for line in self.lines(code):
            if line.word == "start":
                open_[(line.pid, line.position)] = line.position
            else:
                open_.pop((line.pid, line.position), None)
        busy: dict[int, set[int]] = {}
        for (pid, _), position in open_.items():
            busy.setdefault(pid, set()).add(position)
        return busy

    def holder(self, code: str, start: int, stop: int) -> int | None:
        """The process that started the newest item of these positions."""
        found = [line.pid for line in self.lines(code, "start") if start <= line.position < stop]
        return found[-1] if found else None


def parsed(text: str) -> Line:
    word, code, position, attempt, run, pid, at = text.split()
    return Line(word, code, int(position), int(attempt), int(run), int(pid), float(at))
