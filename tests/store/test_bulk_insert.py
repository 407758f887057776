from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.models import Item
from jobs.store.bulk_insert import insert
from tests.base import make_job

COLUMNS = ("job_id", "position", "payload", "label", "key")
NASTY = (
    "", " ", "\\", "\\\\", "\\N", "\\.", "\\n", "\\x41", "\t", "a\tb", "\n", "\r", "a\r\nb", "'", '"', '""', "%s", "%",
    "{}", "$1", "NULL", "\x01", "\x1f", "\x7f", "\u2028", "żółw", "🐢" * 3, "e\u0301", "\ufeff", "\uffff", "\U0010ffff",
)  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_it_inserts_any_number_of_rows(count: int, alice: User) -> None:
    job = make_job(alice)
    insert("jobs_item", COLUMNS, ((job.pk, at, f"{at}", "", "") for at in range(count)))
    found = Item.objects.filter(job=job).order_by("position").values_list("position", "payload")
    assert list(found) == [(at, str(at)) for at in range(count)]


def test_it_stores_the_very_same_text(alice: User) -> None:
    job = make_job(alice)
    rows = [(job.pk, at, text, text[::-1], text * 2) for at, text in enumerate(NASTY)]
    insert("jobs_item", COLUMNS, rows)
    assert list(Item.objects.filter(job=job).order_by("position").values_list(*COLUMNS)) == rows


def test_it_leaves_the_rest_to_the_defaults(alice: User) -> None:
    job = make_job(alice)
    insert("jobs_item", COLUMNS, [(job.pk, 0, "[]", "", "")])
    Item.objects.create(job=job, position=1, payload="[]")
    first, second = Item.objects.filter(job=job).order_by("position").values_list()
    assert sum(one != other for one, other in zip(first, second, strict=True)) == len(["id", "position"])


def test_it_stores_none_as_null(alice: User) -> None:
    job = make_job(alice)
    insert("jobs_item", ("job_id", "position", "payload", "seconds"), [(job.pk, 0, "[]", None), (job.pk, 1, "[]", 1.5)])
    assert list(Item.objects.filter(job=job).order_by("position").values_list("seconds", flat=True)) == [None, 1.5]


def test_it_raises_what_django_raises(alice: User) -> None:
    job = make_job(alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert("jobs_item", COLUMNS, [(job.pk, 7, "[]", "", "")] * 2)


def test_it_stores_nothing_of_a_source_that_breaks(alice: User) -> None:
    job = make_job(alice)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        insert("jobs_item", COLUMNS, ((job.pk, 1 // (1 - at), "[]", "", "") for at in range(3)))
    assert not Item.objects.filter(job=job).exists()


def test_it_refuses_half_a_character(alice: User) -> None:
    job = make_job(alice)
    with pytest.raises(ValueError, match="surrogates"), transaction.atomic():
        insert("jobs_item", COLUMNS, [(job.pk, 0, "\ud800", "", "")])
    assert not Item.objects.filter(job=job).exists()


def test_it_takes_few_statements(alice: User) -> None:
    job = make_job(alice)
    with CaptureQueriesContext(connection) as queries:
        insert("jobs_item", COLUMNS, [(job.pk, at, "[]", "", "") for at in range(2_050)])
    assert len(queries) <= 2
