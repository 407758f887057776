"""A page of the model, which knows only what frames have told it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from jobs import events, live
from jobs.models import Job
from tests.rows.promises import holds

EQUATION: Final = ("succeeded", "failed", "rejected", "running", "waiting", "not_attempted")


@dataclass
class Viewer:
    """Applies the frames that it is sent, however many wake-ups it has missed."""

    head: live.Head | None = None
    seq: int = -1
    cells: dict[int, int] = field(default_factory=dict)

    def look(self, job: int, stored: dict[int, int]) -> None:
        code = Job.objects.values_list("code", flat=True).get(pk=job)
        head = self.head = live.read_head(code, self.head)
        holds(head, "a page of a job that exists shows nothing")
        assert head is not None
        self._apply(head, stored)
        holds(self.cells == stored, "a viewer sees what is not stored")
        counts = head.frame["counts"]
        holds(sum(counts[name] for name in EQUATION) == head.frame["total"], "the numbers of a frame do not add up")

    def _apply(self, head: live.Head, stored: dict[int, int]) -> None:
        text, cells = live.frames(head, self.seq)
        frame = json.loads(text)
        if self.seq < 0 or frame["t"] == "resync" or frame["total"] != len(self.cells):
            # Rows that come while the file is read are in no batch: the page asks for its rows when their number changes.
            self.cells = dict(stored)
        else:
            holds(frame["from"] == self.seq, "a frame does not follow the one before")
            self.cells |= dict(events.decode(cells[events.HEADER.size :])) if cells else {}
        self.seq = head.seq
