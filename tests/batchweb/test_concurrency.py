"""How much one person may have under way at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client

from batchweb import concurrency, deadlines
from batchweb.concurrency import Full, Limiter, limited
from batchweb.deadlines import Deadline
from jobs.models import Job
from tests.base import csv_of, worked
from tests.system import until


@pytest.fixture
def limiter(settings: Any) -> Limiter:
    """Two at a time, one in line."""
    settings.AT_A_TIME = 2
    return Limiter("AT_A_TIME", 1, "Too many.", timeout=60.0)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def waiting(limiter: Limiter, key: str) -> int:
    return limiter._lines[key].waiting


def test_it_lets_so_many_through_at_a_time(limiter: Limiter, threads: ThreadPoolExecutor) -> None:
    limiter.take("alice")
    limiter.take("alice")
    third = threads.submit(limiter.take, "alice")
    until(lambda: waiting(limiter, "alice"), what="the third one is in line")
    with pytest.raises(Full, match="Too many"):
        limiter.take("alice")
    assert not third.done()
    limiter.give_back("alice")
    third.result(30)


def test_it_counts_each_person_apart(limiter: Limiter) -> None:
    for name in ("alice", "alice", "bob", "bob"):
        limiter.take(name)
    limiter.give_back("bob")
    limiter.take("bob")


def test_it_refuses_who_has_waited_for_long(limiter: Limiter) -> None:
    limiter.timeout = 0.01
    limiter.take("alice")
    limiter.take("alice")
    with pytest.raises(Full):
        limiter.take("alice")
    limiter.give_back("alice")
    limiter.take("alice")


def test_it_forgets_who_has_nothing_under_way(limiter: Limiter) -> None:
    with limiter.taken("alice"):
        assert list(limiter._lines) == ["alice"]
    assert not limiter._lines


def test_it_has_no_limit_where_none_is_set(limiter: Limiter, settings: Any) -> None:
    settings.AT_A_TIME = 0
    for _ in range(1000):
        limiter.take("alice")


@pytest.mark.django_db(transaction=True)
def test_it_waits_without_a_connection(limiter: Limiter, threads: ThreadPoolExecutor) -> None:
    def third() -> bool:
        connection.ensure_connection()
        limiter.take("alice")
        return connection.connection is None or in_memory()

    limiter.take("alice")
    limiter.take("alice")
    asked = threads.submit(third)
    until(lambda: waiting(limiter, "alice"), what="the third one is in line")
    limiter.give_back("alice")
    assert asked.result(30)


def in_memory() -> bool:
    """A database that would be gone with its connection, so that Django keeps it."""
    return connection.vendor == "sqlite"


def request_of(person: User, deadline: Deadline | None = None) -> HttpRequest:
    request = HttpRequest()
    request.user = person
    if deadline:
        request.scope = {deadlines.SCOPE: deadline}  # type: ignore[attr-defined]
    return request


def running(limiter: Limiter) -> int:
    return sum(line.running for line in limiter._lines.values())


def test_it_counts_a_page_until_it_is_made(limiter: Limiter) -> None:
    @limited(limiter)
    def view(request: HttpRequest) -> HttpResponse:
        assert running(limiter) == 1
        return HttpResponse()

    view(request_of(User(pk=1), Deadline()))
    assert not running(limiter)


def test_it_counts_a_download_until_it_is_sent(limiter: Limiter) -> None:
    deadline = Deadline()
    view = limited(limiter)(lambda request: StreamingHttpResponse(iter([b"x"])))
    view(request_of(User(pk=1), deadline))
    assert running(limiter) == 1
    deadline.end()
    assert not running(limiter)


def test_it_does_not_count_what_nobody_knows_the_end_of(limiter: Limiter) -> None:
    limited(limiter)(lambda request: StreamingHttpResponse(iter([b"x"])))(request_of(User(pk=1)))
    assert not running(limiter)


def test_it_counts_nothing_that_went_wrong(limiter: Limiter) -> None:
    @limited(limiter)
    def view(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        view(request_of(User(pk=1), Deadline()))
    assert not running(limiter)


# On pages


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def job(alice: User) -> Job:
    return worked(alice, csv_of(3))


@pytest.fixture
def page(alice: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who has everything under way that they may have, and nothing may wait."""
    for limiter in (concurrency.searches, concurrency.downloads):
        monkeypatch.setattr(limiter, "waiting", 0)
        monkeypatch.setattr(limiter, "_lines", {})
    client.force_login(alice)
    return client


def fill(limiter: Limiter, person: User) -> None:
    for _ in range(limiter.most):
        limiter.take(person.pk)


SEARCHES = ("?q=x", "?sort=-seconds", "?from=1", "items/?q=x")
DOWNLOADS = ("results.csv", "results.xlsx", "failed.csv", "problems.csv")


@pytest.mark.django_db
@pytest.mark.parametrize("path", SEARCHES)
def test_it_refuses_more_searches(page: Client, alice: User, job: Job, path: str) -> None:
    assert page.get(job.get_absolute_url() + path).status_code == 200
    fill(concurrency.searches, alice)
    answer = page.get(job.get_absolute_url() + path)
    assert (answer.status_code, answer["Retry-After"]) == (429, "5")
    assert concurrency.searches.sentence in answer.content.decode()
    assert page.get(job.get_absolute_url()).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", DOWNLOADS)
def test_it_refuses_more_downloads(page: Client, alice: User, job: Job, path: str) -> None:
    fill(concurrency.downloads, alice)
    answer = page.get(job.get_absolute_url() + path, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (429, {"detail": concurrency.downloads.sentence})


@pytest.mark.django_db
def test_it_refuses_more_searches_of_staff(page: Client, job: Job) -> None:
    sam = User.objects.create_superuser("sam")
    page.force_login(sam)
    fill(concurrency.searches, sam)
    for path in ("jobs/job/?q=x", f"jobs/item/?job={job.code}&q=x", "jobs/activity/?q=x"):
        assert page.get(f"/admin/{path}").status_code == 429, path


@pytest.mark.django_db
def test_it_refuses_more_archives(page: Client, job: Job) -> None:
    sam = User.objects.create_superuser("sam")
    page.force_login(sam)
    other = worked(sam, csv_of(3))
    fill(concurrency.downloads, sam)
    form = {"action": "export", "_selected_action": [job.pk, other.pk]}
    assert page.post("/admin/jobs/job/", form).status_code == 429


@pytest.mark.django_db
def test_it_counts_no_page_that_was_answered(page: Client, job: Job) -> None:
    for path in ("/", "/nothing/", job.get_absolute_url(), f"{job.get_absolute_url()}?q=x", f"/jobs/{job.code}/start/"):
        page.get(path)
    for limiter in (concurrency.searches, concurrency.downloads):
        assert not limiter._lines


@pytest.mark.django_db(transaction=True)
def test_it_sends_a_download_without_a_connection_for_its_page(page: Client, alice: User, job: Job) -> None:
    seen: list[Any] = []

    def parts(*_: Any) -> Any:
        seen.append(connection.connection)
        yield b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.export.streaming.streamed", parts)
        answer = page.get(f"{job.get_absolute_url()}results.csv")
    assert threading.current_thread() is threading.main_thread()
    assert list(answer.streaming_content) == [b""]  # type: ignore[attr-defined]
    assert seen == [None] or in_memory()
