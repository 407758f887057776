"""A case for each test, and in the end the table of what each fault did."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.case import Case, Row
from tests.faults.yard import Yard
from tests.services import Missing

SEED = os.environ.get("FAULT_SEED") or str(random.randrange(1_000_000))
FAILED = pytest.StashKey[bool]()
SYSTEM = pytest.StashKey[Any]()
ROWS: list[Row] = []
HEAD = ("fault", "recovery", "promise", "run twice", "excused", "lost", "invariants", "took")


@pytest.fixture(scope="session")
def yard() -> Iterator[Yard]:
    made = Yard()
    yield made
    made.clear()


@pytest.fixture
def case(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A fault on PostgreSQL, with every process by itself."""
    yield from run_case(yard, request.node, "postgres")


@pytest.fixture
def sqlite_case(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Case]:
    yield from run_case(yard, request.node, "sqlite")


@pytest.fixture
def small_case(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A fault on a disk of a few megabytes, where one may be mounted."""
    try:
        yield from run_case(yard, request.node, "small")
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture
def whole_case(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A fault under the product's own supervisor."""
    yield from run_case(yard, request.node, "whole")


def run_case(yard: Yard, node: Any, kind: str) -> Iterator[Case]:
    made = Case(yard.get(kind), label(node), f"{SEED}:{node.name}")
    node.stash[SYSTEM] = made.system
    ROWS.append(made.row)
    yield made
    made.row.seconds = made.age()
    failed = node.stash.get(FAILED, True)
    if failed and not made.row.wrong:
        made.row.wrong.append("the case broke off, see above")
    yard.done(good=not failed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cases of one system come together, since starting one takes long."""
    kinds = ("case", "sqlite_case", "small_case", "whole_case")
    items.sort(key=lambda item: next((at for at, kind in enumerate(kinds) if kind in fixtures(item)), -1))


def fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def label(node: Any) -> str:
    """The first line of the test's docstring, and the parameters it runs with."""
    text = (node.function.__doc__ or node.name).strip().split("\n")[0].rstrip(".")
    return f"{text} ({node.callspec.id})" if hasattr(node, "callspec") else text


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[FAILED] = bool(report.failed)
    if report.failed and SYSTEM in item.stash:
        report.sections.append(("what the processes said", item.stash[SYSTEM].log()))


def pytest_report_header() -> str:
    return f"faults: FAULT_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    terminalreporter.section(f"faults, seed {SEED}")
    width = max(len(row.fault) for row in ROWS)
    for cells in (HEAD, *map(cells_of, ROWS)):
        terminalreporter.write_line(f"{cells[0]:{width}}" + "".join(f"{cell:>11}" for cell in cells[1:]))
    for row in ROWS:
        for sentence in row.wrong:
            terminalreporter.write_line(f"FAILS {row.fault}: {sentence}")


def cells_of(row: Row) -> tuple[str, ...]:
    recovery = "-" if row.recovery is None else f"{row.recovery:.1f} s"
    limit = "-" if row.limit is None else f"{row.limit:g} s"
    lost = "?" if row.lost is None else str(row.lost)
    return row.fault, recovery, limit, str(row.repeated), str(row.excused), lost, row.invariants, f"{row.seconds:.0f} s"
