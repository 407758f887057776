"""Compares all that tells of one job: ledger, rows, counts, cells, result, what the viewers hold."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.rig import Watched
from tests.system import until

PENDING, SUCCEEDED, FAILED, REJECTED = 0, 2, 3, 4
NAMES: Final = {PENDING: "not attempted", SUCCEEDED: "succeeded", FAILED: "failed", REJECTED: "rejected"}
# In a shard's cells and in frames: waiting for another attempt, failed with a fallback, running, not attempted.
PLAIN: Final = {5: PENDING, 7: FAILED, 1: PENDING, 6: PENDING}
AGREE: Final = 15.0  # seconds that viewers have to get where the rows are


@dataclass
class Expected:
    """What must have become of a job. `kinds` are the kinds of failure that rows must have, by position."""

    names: Sequence[str]
    kinds: Mapping[int, Sequence[str]] = field(default_factory=dict)
    pending: bool = False
    repeated: set[int] = field(default_factory=set)


class Audit:
    """What is wrong with a job that is at rest, in sentences."""

    def __init__(self, system: Watched, code: str, expected: Expected) -> None:
        self.system, self.code, self.expected = system, code, expected
        fields = "position, state, result, error_kind, finished"
        self.rows = system.of_job(code, fields, rest="ORDER BY position")
        self.states = [row[1] for row in self.rows]
        self.lost = self.count_lost()
        self.repeated = len(system.witness.repeated(code))
        self.invariants = system.manage("check_invariants", code)

    def count_lost(self) -> int:
        """Items without a row, and those that are left over in a job that has ended."""
        left = 0 if self.expected.pending else self.states.count(PENDING)
        return abs(len(self.expected.names) - len(self.rows)) + left

    def wrong(self) -> Iterator[str]:
        if self.lost:
            yield f"{self.lost} items are lost"
        if self.invariants.returncode:
            yield f"invariants: {self.invariants.stdout.strip()[:500]}"
        yield from self.rows_wrong()
        yield from self.shards_wrong()
        yield from self.ledger_wrong()
        yield from self.file_wrong()
        yield from self.viewers_wrong()

    def rows_wrong(self) -> Iterator[str]:
        """Each row is where it was in the file, and has come to the end that was meant for it."""
        if [row[0] for row in self.rows] != list(range(len(self.rows))):
            yield "the positions have gaps"
        bad = [(at, kind) for at, state, result, kind, _ in self.rows if not self.fits(at, state, result, kind)]
        if bad:
            yield f"{len(bad)} rows did not end as they should, such as {bad[:5]}"

    def fits(self, position: int, state: int, result: str, kind: str) -> bool:
        if state == PENDING:
            return self.expected.pending
        if position in self.expected.kinds:
            return state == FAILED and kind in self.expected.kinds[position]
        return state == SUCCEEDED and bool(json.loads(result)["position"] == position)

    def shards_wrong(self) -> Iterator[str]:
        """Cells and counts say what the rows say."""
        shards = self.system.of_job(
            self.code, "cells, pending, succeeded, failed, rejected, running", "shard", "ORDER BY start"
        )
        cells = [PLAIN.get(cell, cell) for shard in shards for cell in bytes(shard[0])]
        if cells != self.states:
            yield "the cells differ from the rows"
        sums = [sum(shard[at] for shard in shards) for at in range(1, 6)]
        count = Counter(self.states)
        if sums != [*(count[state] for state in NAMES), 0]:
            yield f"the counts are {sums}, the rows say {dict(count)}"

    def ledger_wrong(self) -> Iterator[str]:
        """Nothing has an end without having run, nothing ran twice that no death excuses, no success ran again."""
        witness = self.system.witness
        ran = {line.position for line in witness.lines(self.code, "start")}
        never = [row[0] for row in self.rows if row[1] in (SUCCEEDED, FAILED) and row[0] not in ran]
        if never:
            yield f"{len(never)} items have an end and never ran: {never[:5]}"
        twice = sorted(set(witness.repeated(self.code)) - self.expected.repeated)
        if twice:
            yield f"{len(twice)} items ran twice without need: {twice[:5]}"

    def file_wrong(self) -> Iterator[str]:
        """The result has every row of the file in its order."""
        text = self.system.admin.get(f"/jobs/{self.code}/results.csv").text
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
        if [line["name"] for line in lines] != list(self.expected.names):
            yield "the result is not in the order of the file"
        if [line["state"] for line in lines] != [NAMES[state] for state in self.states]:
            yield "the result's states are not those of the rows"

    def viewers_wrong(self) -> Iterator[str]:
        """Every page shows in the end what is stored."""
        frame = self.system.snapshot(self.system.admin, self.code)
        try:
            until(lambda: all(self.agrees(page, frame) for page in self.pages()), AGREE)
        except AssertionError:
            wrong = [page for page in self.pages() if not self.agrees(page, frame)]
            yield f"{len(wrong)} viewers differ: {[shown(page['frame']) for page in wrong[:2]]}, not {shown(frame)}"
        for page in self.pages():
            differ = [at for at, state in page["cells"].items() if PLAIN.get(state, state) != self.states[int(at)]]
            if differ:
                yield f"a viewer has {len(differ)} wrong cells: {differ[:5]}"

    def pages(self) -> list[dict[str, Any]]:
        return [page for viewer in self.system.viewers for page in viewer.says()]

    def agrees(self, page: dict[str, Any], frame: dict[str, Any]) -> bool:
        return shown(page["frame"]) == shown(frame)


def shown(frame: Mapping[str, Any]) -> dict[str, Any]:
    """What of a frame must be the same for everybody in the end."""
    return {name: frame.get(name) for name in ("seq", "state", "counts", "total")}
