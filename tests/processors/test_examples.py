"""The code in the README is run here as it stands there."""

from __future__ import annotations

import importlib
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from jobs.engine import Policy, run
from jobs.processors import Call, Task, get
from tests.processors.attempts import final, kinds, values

README = Path(__file__).parents[2] / "README.md"


def code(title: str) -> str:
    """All Python code in one section of the README."""
    section = re.split(r"(?m)^## ", README.read_text())
    (text,) = [one for one in section if one.startswith(f"{title}\n")]
    return "\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The section's code as the module that the README tells to make."""
    (tmp_path / "mine.py").write_text(code("Write a processor"))
    with sqlite3.connect(tmp_path / "prices.db") as connection:
        connection.execute("CREATE TABLE price AS SELECT 'tea' AS article, 3 AS euros")
    connection.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("mine")
    del sys.modules["mine"]


def test_it_counts_letters_or_words(mine: ModuleType) -> None:
    rows = [{"text": "two words"}]
    assert values(final(Call("length", {}), rows)) == [{"length": 9}]
    assert values(final(Call("length", {"unit": "words"}), rows)) == [{"length": 2}]


def test_it_loses_no_count_among_many_workers(mine: ModuleType) -> None:
    final(Call("first-letters", {}), [{"word": word} for word in ("ant", "bee", "ape") * 300], Policy(workers=20))
    assert get("first-letters").seen == {"a": 600, "b": 300}  # type: ignore[attr-defined]


def test_it_gives_every_count_once(mine: ModuleType) -> None:
    results = values(final(Call("first-letters", {}), [{"word": "ant"}] * 500, Policy(workers=20)))
    assert sorted(result["so_far"] for result in results) == list(range(1, 501))


def test_it_opens_one_connection_for_each_worker_and_closes_all(
    mine: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"open": 0, "close": 0}
    for name in counts:
        original = getattr(mine.Lookup, name)

        def counted(self: object, given: object, name: str = name, original: object = original) -> object:
            counts[name] += 1
            return original(self, given)  # type: ignore[operator]

        monkeypatch.setattr(mine.Lookup, name, counted)
    assert values(final(Call("lookup", {}), [{"article": "tea"}] * 500, Policy(workers=8))) == [{"euros": 3}] * 500
    assert 1 <= counts["open"] == counts["close"] <= 8


def test_it_fails_the_one_article_that_is_not_there(mine: ModuleType) -> None:
    attempts = final(Call("lookup", {}), [{"article": "tea"}, {"article": "cod"}])
    assert kinds(attempts) == ["", "LookupError"]
    assert attempts[1].failure is not None
    stored = Call("lookup", {}).fallback(Task({"article": "cod"}), attempts[1].failure)
    assert stored == ('{"euros": null}', ("euros",))


def test_it_computes_in_processes(mine: ModuleType) -> None:
    call = Call("primes", {}, ("mine",))
    tasks = enumerate([Task({"number": "10"}), Task({"number": 100})])
    attempts = list(run(tasks, call, Policy(workers=2), executor=_executor("primes")))
    assert values(sorted(attempts, key=lambda attempt: attempt.position)) == [{"primes": 4}, {"primes": 25}]


def _executor(name: str) -> str:
    return "process" if get(name).kind == "cpu" else "thread"


def test_it_works_from_python() -> None:
    exec(compile(code("Use it from Python"), "README.md", "exec"), {"__name__": "readme"})
