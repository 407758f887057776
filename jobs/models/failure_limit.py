"""The failure limit of a job: when so much fails that somebody should look before more is tried. Pure counting."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from jobs.humanize import items
from jobs.models.reason import NO_REASON, Code, Reason

SAMPLE: Final = 20  # items that are tried before a share of them says anything, unless the person says otherwise


class End(NamedTuple):
    """How an item ended, and when: the kind of its failure and the id of the cause, or nothing where it succeeded."""

    at: float
    kind: str = ""
    cause: int = 0


@dataclass(slots=True)
class Tally:
    """What was counted since the last start, resume or retry."""

    tried: int = 0
    failed: int = 0
    streak: int = 0
    cause: int = 0

    @classmethod
    def load(cls, text: str) -> Tally:
        return cls(**json.loads(text)) if text else cls()

    def dump(self) -> str:
        return json.dumps(asdict(self))

    def add(self, end: End) -> None:
        self.tried += 1
        self.failed += bool(end.kind)
        if not end.kind:
            self.streak, self.cause = 0, 0
        elif end.cause == self.cause:
            self.streak += 1
        else:
            self.streak, self.cause = 1, end.cause


@dataclass(frozen=True, slots=True)
class Limit:
    """Pause above `share` per cent of at least `sample` items, after `count` failures, or `streak` of one cause."""

    share: float | None = None
    sample: int = SAMPLE
    count: int | None = None
    streak: int | None = None

    def __bool__(self) -> bool:
        return not (self.share is None and self.count is None and self.streak is None)

    def __str__(self) -> str:
        parts = []
        if self.share is not None:
            parts.append(f"more than {self.share:g} % of at least {items(self.sample)} fail")
        if self.count is not None:
            parts.append(f"{items(self.count)} fail{'s' if self.count == 1 else ''}")
        if self.streak is not None:
            parts.append(f"{self.streak:,} in a row fail for one cause")
        return " or ".join(parts)

    def reached(self, tally: Tally, ends: Iterable[End], first: bool = True) -> Reason:
        """Counts the ends in their order; the reason to pause, or none.

        Looks after each item, so that it makes no difference how many are stored at once.
        """
        text = ""
        for end in sorted(ends):
            tally.add(end)
            if end.kind and not text:
                text = self._sentence(tally, end.kind, first)
        return Reason(Code.FAILURE_LIMIT, text) if text else NO_REASON

    def _sentence(self, tally: Tally, kind: str, first: bool) -> str:
        if self.streak is not None and tally.streak >= self.streak:
            row = f"{items(tally.streak)} in a row" if tally.streak > 1 else "an item"
            return f"Paused: {row} failed with {kind}."
        whole = f"the {'first' if first else 'last'} {items(tally.tried)}"
        if self.count is not None and tally.failed >= self.count:
            return f"Paused: {tally.failed:,} of {whole} failed; the limit is {self.count:,}."
        if self.share is not None and tally.tried >= self.sample and 100 * tally.failed > self.share * tally.tried:
            return f"Paused: {tally.failed:,} of {whole} failed, more than {self.share:g} %."
        return ""
