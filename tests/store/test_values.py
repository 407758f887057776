"""Values that one database or the other refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError

from jobs import processors, tasks
from jobs.export import results
from jobs.models import Attempt, Item, JobState
from jobs.processors import Context, processor
from jobs.store import items
from tests.base import lines, loaded, states, worked
from tests.steps import failure, feed, recorder_for, row, success, wrong

NASTY = {
    "nul": "a\0b",
    "half a pair": "a\ud800b",
    "other half": "\udfff",
    "huge": "x" * 3_000_000,
    "control": "\x01\x1b[31m",
    "quotes": "'); DROP TABLE jobs_item; --",
    "astral": "👩‍👩‍👧‍👦" * 50,
}


@pytest.fixture(autouse=True)
def nasty_processor() -> Any:
    if "nasty" not in processors.names():

        @processor("nasty", inputs=("name",))
        def nasty(inputs: Mapping[str, Any], context: Context) -> Any:
            context.logger.warning("log: %s", NASTY.get(inputs["name"], ""))
            if context.position % 2:
                raise type(f"E{NASTY.get(inputs['name'], '')[:300]}", (Exception,), {})(NASTY.get(inputs["name"], "no"))
            return {"text": NASTY.get(inputs["name"], "fine"), NASTY.get(inputs["name"], "")[:50]: 1}


def file_of(name: str) -> str:
    return "name\n" + "".join(f"{name if at in (10, 11) else 'fine'}\n" for at in range(50))


@pytest.mark.parametrize("name", NASTY)
def test_it_stores_what_comes_of_nasty_values(name: str, alice: User) -> None:
    job = worked(alice, file_of(name), processor="nasty")
    assert job.state == JobState.FINISHED
    assert [state for at, state in enumerate(states(job)) if at not in (10, 11)] == ["succeeded", "failed"] * 24
    assert states(job)[11] == "failed"
    assert wrong(job) == []


@pytest.mark.parametrize("name", NASTY)
def test_it_writes_every_row_with_nasty_values_in_it(name: str, alice: User) -> None:
    job = worked(alice, file_of(name), processor="nasty")
    text = "".join(results.chunks(job, "csv"))
    assert text.encode().count(b"\r\n") >= 51
    assert len(list(results.chunks(job, "jsonl"))) >= 1


def test_it_bounds_a_huge_error(alice: User) -> None:
    job = worked(alice, file_of("huge"), processor="nasty")
    found = Attempt.objects.get(job=job, position=11)
    assert (len(row(job, 11).error) <= 2000, len(found.trace) <= 8000, len(found.log) <= 16_500) == (True,) * 3


@pytest.mark.parametrize("text", [NASTY["nul"], NASTY["half a pair"], NASTY["other half"]])
def test_it_makes_any_failure_harmless(text: str, alice: User) -> None:
    job = loaded(alice, file_of("fine"), processor="nasty")
    feed(recorder_for(job), failure(0, text, text, log=text), success(1))
    assert states(job)[:2] == ["failed", "succeeded"]
    assert "\0" not in row(job, 0).error


def refuse(monkeypatch: pytest.MonkeyPatch, positions: set[int]) -> None:
    """The database takes no result of these items."""

    def refusing(real: Callable[..., int]) -> Callable[..., int]:
        def save(job: int, run: int | None, worker: int, found: Any) -> int:
            if any(one.position in positions and getattr(one, "error_kind", "") != "not storable" for one in found):
                raise DataError("refused")
            return real(job, run, worker, found)

        return save

    for name in ("save_plain", "save_outcomes"):
        monkeypatch.setattr(items, name, refusing(getattr(items, name)))


def test_it_fails_alone_what_the_database_refuses(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, "name\n" + "fine\n" * 500, workers=200)
    taken = recorder_for(job)
    refuse(monkeypatch, {123})
    feed(taken, *(success(at) for at in range(500)))
    assert Item.objects.filter(job=job, state=2).count() == 499
    assert (row(job, 123).state, row(job, 123).error_kind) == (3, "not storable")
    assert wrong(job) == []


def test_it_raises_when_the_database_refuses_everything(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = loaded(alice, "name\nfine\n")
    taken = recorder_for(job)

    def save(*args: Any) -> int:
        raise DataError("refused")

    monkeypatch.setattr(items, "save_outcomes", save)
    taken.add(success(0))
    with pytest.raises(DataError):
        taken.flush()


def test_it_loads_a_table_with_nasty_cells(alice: User) -> None:
    job = loaded(alice, b'name,id\n"a\x00b",1\n"\xff\xfe",2\nfine,3\n', mapping={"simulate": "name"})
    tasks.work()
    assert len(states(job)) == 3
    assert (lines(results.chunks(job, "csv"))[-1].split(",")[0], wrong(job)) == ("fine", [])
