"""What takes too long is stopped, whoever waits or no longer waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction
from django.test import Client, RequestFactory

from batchweb import deadlines, middleware, refusals
from batchweb.deadlines import Deadline, HangUps, TookTooLong
from jobs.models import Job
from jobs.store.dialect import execute, postgres
from tests.base import csv_of, loaded, worked
from tests.system import until

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = """WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
           SELECT COUNT(*) FROM numbers"""


def slow() -> None:
    """A statement that goes on for minutes."""
    execute("SELECT pg_sleep(600)" if postgres() else COUNT)


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def job(alice: User) -> Job:
    return worked(alice, csv_of(3))


@pytest.fixture
def page(alice: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


def test_it_interrupts_a_statement() -> None:
    with pytest.raises(TookTooLong), deadlines.at_most(0.05):
        slow()
    assert execute("SELECT 1") == [(1,)]


def test_it_interrupts_one_whose_rows_are_being_fetched() -> None:
    rows = "SELECT n FROM generate_series(1, 1000000000) AS n" if postgres() else COUNT.replace("COUNT(*)", "n")

    def fetch() -> None:
        with deadlines.at_most(0.05), connection.cursor() as cursor:
            cursor.execute(rows)
            while cursor.fetchmany(1000):
                pass

    with pytest.raises(TookTooLong):
        fetch()


def test_it_begins_no_statement_too_late() -> None:
    now = [0.0]
    deadline = Deadline(5.0, clock=lambda: now[0])
    with deadline.holds():
        assert execute("SELECT 1") == [(1,)]
        now[0] = 5.0
        with pytest.raises(TookTooLong):
            execute("SELECT 1")
    assert execute("SELECT 1") == [(1,)]


def test_it_leaves_a_transaction_around_it_as_it_was(alice: User) -> None:
    with transaction.atomic():
        User.objects.create_user("bob")
        with pytest.raises(TookTooLong), deadlines.at_most(0.05):
            slow()
        User.objects.create_user("cleo")
    assert User.objects.count() == 3


def test_it_leaves_alone_what_comes_after_it() -> None:
    for _ in range(20):
        with pytest.raises(TookTooLong), deadlines.at_most(0.01):
            slow()
        assert execute("SELECT 1") == [(1,)]


def test_it_leaves_alone_what_others_ask() -> None:
    def other() -> None:
        try:
            for _ in range(200):
                answers.extend(execute("SELECT 1"))
        finally:
            connections.close_all()

    answers: list[Any] = []
    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(TookTooLong), deadlines.at_most(0.05):
        slow()
    thread.join()
    assert len(answers) == 200


def test_it_passes_on_other_errors() -> None:
    with pytest.raises(Exception, match="nonsense"), deadlines.at_most(60):
        execute("SELECT nonsense")


# Who has hung up


def test_it_stops_for_whoever_has_hung_up() -> None:
    deadline = Deadline()
    threading.Timer(0.05, deadline.hang_up).start()
    with pytest.raises(TookTooLong), deadline.holds():
        slow()


async def test_it_hears_that_the_client_has_hung_up() -> None:
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            await receive()
            seen.append(scope[deadlines.SCOPE].over)

    line = ApplicationCommunicator(HangUps(app), {"type": "http"})
    await line.send_input({"type": "http.request"})
    await line.send_input({"type": "http.disconnect"})
    await line.wait()
    assert seen == [False, True]


async def test_it_tells_whoever_waits_for_the_end_of_a_request() -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope[deadlines.SCOPE].at_end(lambda: told.append("ended"))
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await HangUps(app)({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert told == ["ended"]


def test_it_does_what_was_ordered_whoever_has_hung_up() -> None:
    gone = Deadline()
    gone.hang_up()
    for method, over in (("get", True), ("head", True), ("post", False), ("delete", False)):
        request: Any = getattr(RequestFactory(), method)("/")
        request.scope = {deadlines.SCOPE: gone}
        assert middleware.deadline_for(request).over == over, method


# What people are told


def asked(page: Client, path: str, settings: Any, **headers: Any) -> Any:
    settings.JOBS_PAGE_SECONDS = 0
    return page.get(path, headers=headers)


def test_it_says_that_it_took_too_long(page: Client, job: Job, settings: Any) -> None:
    answer = asked(page, job.get_absolute_url(), settings)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert f'<p id="why">{refusals.TOO_LONG}</p>' in answer.content.decode()


def test_it_says_so_to_scripts(page: Client, job: Job, settings: Any) -> None:
    answer = asked(page, f"/jobs/{job.code}/snapshot.json", settings, accept="application/json")
    assert (answer.status_code, answer.json()) == (503, {"detail": refusals.TOO_LONG})


def test_it_says_so_where_a_view_was_stopped(
    page: Client, job: Job, monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jobs.views.items.found_items", lambda *_: slow())
    settings.JOBS_PAGE_SECONDS = 0.5
    answer = page.get(f"/jobs/{job.code}/items/", {"q": "x"})
    assert answer.status_code == 503
    assert refusals.TOO_LONG in answer.content.decode()
    (told,) = caplog.records
    assert "\n" not in told.getMessage()
    assert not told.exc_info


def test_it_logs_a_line_where_it_came_as_far_as_no_view(
    page: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert asked(page, "/", settings).status_code == 503
    (told,) = caplog.records
    assert not told.exc_info


def test_it_logs_nothing_where_nobody_waits_any_more(caplog: pytest.LogCaptureFixture) -> None:
    request: Any = RequestFactory().get("/")
    request.deadline = Deadline()
    request.deadline.hang_up()
    assert refusals.of_error(request, TookTooLong())
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


@contextmanager
def held(job: Job) -> Iterator[None]:
    """Somebody else writes to the job meanwhile, and takes their time."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Job.objects.filter(pk=job.pk).update(name="held")
                execute("SELECT id FROM jobs_shard WHERE job_id = %s" + (" FOR UPDATE" if postgres() else ""), [job.pk])
                holding.set()
                done.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def impatient() -> Iterator[None]:
    """Does not wait as long as people do for what somebody else holds."""
    soon, usual = ("SET lock_timeout = 50", "RESET lock_timeout") if postgres() else (
        "PRAGMA busy_timeout = 50", "PRAGMA busy_timeout = 20000")  # fmt: skip
    execute(soon)
    try:
        yield
    finally:
        execute(usual)


VERBS: dict[str, Callable[[User], Job]] = {
    **dict.fromkeys(("pause", "cancel", "adjust", "rename", "delete", "share"), lambda alice: loaded(alice, csv_of(3))),
    **dict.fromkeys(("retry", "accept"), lambda alice: worked(alice, csv_of(3, lambda _: "fail:Broken"))),
    "start": lambda alice: loaded(alice, csv_of(3), start=False),
    "try": lambda alice: loaded(alice, csv_of(3), start=False),
}


@pytest.mark.parametrize("verb", VERBS)
def test_it_says_that_the_database_is_busy(verb: str, page: Client, alice: User) -> None:
    User.objects.create_user("bob")
    job = VERBS[verb](alice)
    form = {"name": "Mine", "person": "bob", "may": "look", "workers": 3, "initial-workers": 10}
    with held(job), impatient():
        answer = page.post(f"/jobs/{job.code}/{verb}/", form)
    assert answer.status_code == 503, answer.content.decode()[:2000]
    assert refusals.BUSY in answer.content.decode()


def test_it_says_that_the_database_is_away(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("jobs.live.job_list.of", away)
    answer = page.get("/")
    assert answer.status_code == 503
    assert refusals.AWAY in answer.content.decode()


def test_it_takes_a_defect_for_no_trouble_of_the_database(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.live.job_list.of", lambda *_: execute("SELECT nonsense"))
    assert page.get("/").status_code == 500


def test_it_ends_what_holds_up_a_server(settings: Any) -> None:
    settings.JOBS_PAGE_SECONDS, settings.JOBS_ORDER_SECONDS = 15.0, 60.0
    assert deadlines.of_server() == "-c statement_timeout=62s -c lock_timeout=20s"


def test_it_watches_nothing_that_is_done() -> None:
    with deadlines.at_most(60):
        assert deadlines._watch._deadlines
    until(lambda: not deadlines._watch._deadlines, what="nothing is watched")
