"""The sample files that an empty list offers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batchweb import installation


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    title: str
    processor: str

    @property
    def path(self) -> Path:
        return installation.RESOURCES / "samples" / self.name


SAMPLES: Final = (
    Sample("queries.csv", "25 queries to rewrite", "rewrite-query"),
    Sample("simulate.csv", "200 simulated items, some of which fail", "simulate"),
    Sample("urls.csv", "12 addresses to fetch", "fetch-url"),
)


def find(name: str) -> Sample | None:
    return next((sample for sample in SAMPLES if sample.name == name), None)
