"""One system for as many attacks as it survives, and a table in the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.attack import Attack, Row, small_job
from tests.attacks.target import Target, target

ROWS: list[Row] = []
FAILED: pytest.StashKey[bool] = pytest.StashKey()
TARGET: pytest.StashKey[Target] = pytest.StashKey()
HEAD = ("attack", "requests", "MB sent", "slowest", "/healthz p99", "pages p99", "grew MB", "temp MB", "processes", "s")


class Yard:
    """Holds one system; after an attack that did harm the next one gets another."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.system: Target | None = None

    def get(self) -> Target:
        if self.system is None:
            name = tempfile.TemporaryDirectory(prefix="bw-attacks-", ignore_cleanup_errors=True)
            folder = Path(self.stack.enter_context(name))
            self.system = self.stack.enter_context(target(folder))
        return self.system

    def clear(self) -> None:
        self.system = None
        self.stack.close()


@pytest.fixture(scope="session")
def yard() -> Iterator[Yard]:
    held = Yard()
    try:
        yield held
    finally:
        held.clear()


@pytest.fixture
def prey(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The system that is attacked, as good as new."""
    system = request.node.stash[TARGET] = yard.get()
    yield system
    if request.node.stash.get(FAILED, False):
        yard.clear()


@pytest.fixture
def attack(prey: Target, request: pytest.FixtureRequest) -> Attack:
    """An attack on it, with its line in the table."""
    return attacked(prey, request.node)


@pytest.fixture
def own_attack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Attack]:
    """An attack on a system that nobody needs afterwards."""
    with target(tmp_path) as system:
        request.node.stash[TARGET] = system
        yield attacked(system, request.node)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ExitStack]:
    """Holds a system with settings of its own: `alone.enter_context(target(folder, …))`."""
    with ExitStack() as stack:
        yield stack


def attacked(system: Target, node: Any) -> Attack:
    """An attack, watched by a bystander at the list, the form and a job."""
    for name in ("mallory", "staffan"):
        system.as_(name)
    system.usual = system.usual or small_job(system)
    made = Attack(system, label(node), ("/healthz", "/", "/jobs/new/", f"/jobs/{system.bystanders_job}/"))
    ROWS.append(made.row)
    return made


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
    if report.failed and TARGET in item.stash:
        report.sections.append(("what the processes said", item.stash[TARGET].log()[-6000:]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    terminalreporter.section("attacks")
    width = min(60, max(len(row.name) for row in ROWS))
    for cells in (HEAD, *map(cells_of, ROWS)):
        terminalreporter.write_line(f"{cells[0][:width]:{width}}" + "".join(f"{cell:>17}" for cell in cells[1:]))
    for row in ROWS:
        for sentence in row.wrong:
            terminalreporter.write_line(f"FAILS {row.name}: {sentence}")


def cells_of(row: Row) -> tuple[str, ...]:
    return (
        row.name, f"{row.requests:,}", f"{row.sent / 1e6:,.1f}", f"{row.slowest * 1000:,.0f} ms", row.health, row.pages,
        f"{row.growth / 1e6:,.0f}", f"{row.temporary / 1e6:,.1f}", str(row.processes), f"{row.seconds:.0f}",
    )  # fmt: skip
