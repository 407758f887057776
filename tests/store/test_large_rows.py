"""Rows of some megabytes: what gathers rows has no more of them in memory than of small ones."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.export import archive, results
from jobs.items import timeline
from jobs.models import Correction, Item, ItemState, Job
from jobs.store import items, leases
from jobs.store.items import Claim
from jobs.worker import prefetch
from tests.base import loaded

MB = 1_000_000
CELL = "x" * (MB - 10)
ROWS = 20

pytestmark = pytest.mark.django_db


@contextmanager
def peak_below(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MB
    finally:
        tracemalloc.stop()


@pytest.fixture
def job(alice: User) -> Job:
    """One that has ended, with rows of 3 MB that failed."""
    made = loaded(alice, "a,b,c\n" + f"{CELL},{CELL},{CELL}\n" * ROWS, start=False)
    Item.objects.filter(job=made).update(state=ItemState.FAILED, error_kind="E", error="e")
    Job.objects.filter(pk=made.pk).update(state="finished")
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("format", results.FORMATS)
def test_it_makes_a_download_in_the_memory_of_few_rows(job: Job, format: str) -> None:
    with peak_below(60):
        sizes = [len(piece) for piece in results.pieces(job, format)]

    assert len(sizes) >= ROWS // 2


def test_it_makes_the_file_of_failed_rows_in_the_memory_of_few(job: Job) -> None:
    with peak_below(60):
        assert sum(map(len, results.failed_chunks(job))) > ROWS * 2 * MB


def test_it_makes_an_archive_in_the_memory_of_few_rows(job: Job) -> None:
    with peak_below(60):
        assert sum(map(len, archive.zipped([job]))) > 1_000


def test_it_compares_the_newest_of_large_corrections_alone(job: Job) -> None:
    item = Item.objects.get(job=job, position=0)
    old = item.payload.replace("x", "y", 1)
    for _ in range(ROWS):
        Correction.objects.create(job=job, position=0, run=job.run, at=timezone.now(), payload=old)
        old = item.payload if old != item.payload else item.payload.replace("x", "y", 1)
    with peak_below(40):
        fixes = timeline.timeline(item, job, "failed")

    before = [fix.before for fix in fixes if isinstance(fix, timeline.Fix)]
    assert before[:-2] == [[("", timeline.TOO_LONG)]] * (ROWS - 2)
    # The newest of them changed nothing, and the one before it a single cell.
    assert [[(column, len(text)) for column, text in pairs] for pairs in before[-2:-1]] == [[("a", 20_001)]]


def test_it_reads_few_large_payloads_at_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    supplied = prefetch.Supply(job, retain=False)
    real = supplied._pick

    def pick(payloads: Any) -> Any:
        read.append(len(payloads))
        return real(payloads)

    monkeypatch.setattr(supplied, "_pick", pick)
    small: list[Claim] = [(at, '["a","b","c"]', "", 0, 0) for at in range(3)]
    large: list[Claim] = [(at, f'["{CELL}","b","c"]', "", 0, 0) for at in range(3, 6)]
    supplied.add([*small, *large, *small])

    assert [position for position, _, _ in supplied] == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert read == [4, 1, 1, 3]


def test_it_claims_few_large_rows_at_once(alice: User) -> None:
    made = loaded(alice, "a\n" + "x\n" * 5 + f"{CELL}\n" * ROWS, start=False)
    lease = leases.Lease(0, 0, 0, ROWS + 5, "", cursor=0)
    taken = [[claim[0] for claim in items.read_pending(made.pk, lease, 100, 3 * MB)] for _ in range(8)]
    assert taken[0] == list(range(9))
    assert [position for claims in taken for position in claims] == list(range(ROWS + 5))
    assert lease.read_all
