"""`make bench`: what it prints and how it ends. How fast anything is, is not looked at here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from benchmarks.__main__ import TABLES
from benchmarks.contest import Contest, Sample
from benchmarks.table import Row, Table
from tests.services import ROOT

WITH_PAGES = ("map", "items", "watching", "taking", "admin")  # these take minutes, however small they are
TITLES = ("0. ", "1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "7. ", "8. ")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def turns(samples: Sequence[Sample]) -> list[Sample]:
    return list(reversed(samples))


def test_it_calls_a_figure_below_its_bar_short() -> None:
    assert Row("speed", 0.92, 0.93).short
    assert not Row("speed", 0.93, 0.93).short


def test_it_calls_a_figure_above_the_most_short() -> None:
    assert Row("memory", 151, 150, most=True).short
    assert not Row("memory", 150, 150, most=True).short


def test_it_judges_a_figure_as_it_is_printed() -> None:
    assert not Row("speed", 0.9951, 1.0).short
    assert Row("speed", 0.9949, 1.0).short


def test_it_prints_short_with_the_figure() -> None:
    table = Table("A table")
    table.add("speed", 0.5, 1.0, unit="×", note="why")
    table.add("memory", 1234.5, unit="MB")
    assert [line.split() for line in table.text().splitlines()] == [
        [],
        ["A", "table"],
        ["speed", "0.50", "×", "at", "least", "1", "SHORT", "why"],
        ["memory", "1,234", "MB"],
    ]


def test_it_takes_the_median_of_the_rounds() -> None:
    left = turns([Sample(10, 1.0, 5.0), Sample(10, 2.0, 7.0), Sample(10, 4.0, 6.0)])
    right = turns([Sample(10, 3.0), Sample(10, 8.0), Sample(10, 20.0)])
    contest = Contest({"left": left.pop, "right": right.pop}, rounds=3)
    assert (contest.seconds("left"), contest.rate("left"), contest.peak("left")) == (2.0, 5.0, 7.0)
    assert contest.times("left", "right") == 4.0


def test_it_compares_a_contestant_of_one_round_with_that_round() -> None:
    often, once = turns([Sample(10, 1.0), Sample(10, 9.0)]), [Sample(10, 2.0)]
    contest = Contest({"often": often.pop, "once": once.pop}, rounds=2, once=["once"])
    assert contest.times("often", "once") == 2.0


def test_it_names_its_tables() -> None:
    done = bench("no-such-table")
    assert done.returncode == 2
    assert "there is no table no-such-table; there are: chat, waiting" in done.stderr


@pytest.mark.flow
@pytest.mark.slow
def test_it_prints_every_table() -> None:
    done = bench("--quick", *(name for name in TABLES if name not in WITH_PAGES))
    assert done.returncode == 0, done.stdout + done.stderr
    begun = [line[:3] for line in done.stdout.splitlines() if line.startswith(TITLES)]
    assert sorted(set(begun)) == list(TITLES)
    assert "SHORT" not in done.stdout
