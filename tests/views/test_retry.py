"""Retry and accept over their pages: each verb × what is meant × each state, and two people at once."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import F
from django.test import Client
from django.urls import reverse

from jobs import actions
from jobs.models import Activity, Cause, Job, Run
from jobs.models.states import POSSIBLE
from tests.base import People, csv_of, states, undone, worked
from tests.steps import wrong
from tests.views.fixed import (
    BEFORE,
    OPEN,
    STATES,
    differing,
    fresh,
    heading,
    job_in,
    operator,
    rows,
    said,
    signed_in,
    tried,
)

SCOPES: Final = ("all", "cause", "rows", "item", "both")
# What each of SCOPES means of the rows, in a job that goes on, was cancelled, has finished.
RETRIED: Final[dict[str, tuple[set[int], ...]]] = {
    "open": ({2, 3}, {2, 4}, {2}, {2}, {2, 4}),
    "cancelled": ({2, 3, 5, 6, 7}, {2, 4}, {2, 5}, {2}, {2, 4}),
    "finished": ({2, 3}, {2, 4}, {2}, {2}, {2, 4}),
}
ACCEPTED: Final[tuple[set[int], ...]] = ({2, 3}, {2}, {2}, {2}, {2})
TAKEN_BACK: Final[tuple[set[int], ...]] = ({4}, {4}, set(), set(), {4})
IN_FLIGHT: Final = "Items of this job are still in flight. Try again once they have come back."


def meant(scope: str, job: Job) -> dict[str, Any]:
    """How a page sends it."""
    cause = job.causes.filter(kind="Red").values_list("pk", flat=True).first() or 10**9
    ways: dict[str, dict[str, Any]] = {
        "all": {}, "cause": {"cause": cause}, "rows": {"chosen": "", "rows": ["1", "2", "5", "8"]},
        "item": {"rows": "2", "item": "2"}, "both": {"cause": cause, "rows": "1-5"},
    }  # fmt: skip
    return ways[scope]


class OrdersCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def url(self, verb: str, job: Job) -> str:
        return reverse(f"jobs:{verb}", args=[job.code])

    def order(self, verb: str, job: Job, sent: dict[str, Any], client: Client | None = None) -> Any:
        answer = (client or self.client).post(self.url(verb, job), sent)
        assert answer.status_code == 302
        return answer


class PagesCase(OrdersCase):
    """One job in each state; what an order does to it is undone."""

    jobs: ClassVar[dict[str, Job]]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.jobs = {state: job_in(state, cls.alice) for state in STATES}


class RetryTests(PagesCase):
    def test_it_tries_exactly_what_is_meant(self) -> None:
        for state in (*OPEN, "cancelled", "finished"):
            for scope, expected in zip(SCOPES, RETRIED.get(state, RETRIED["open"]), strict=True):
                with self.subTest(state=state, scope=scope), undone():
                    job = self.jobs[state]
                    before = rows(job)
                    answer = self.order("retry", job, meant(scope, job))
                    assert said(answer) == f"{len(expected)} item{'s' * (len(expected) > 1)} queued again."
                    assert differing(before, rows(job)) == expected - {5, 6, 7}  # the others are pending already
                    assert {rows(job)[row]["state"] for row in expected} == {0}
                    assert wrong(job) == []

    def test_it_works_on_nothing_else_in_a_job_that_had_ended(self) -> None:
        for state in ("cancelled", "finished"):
            for scope, expected in zip(SCOPES, RETRIED[state], strict=True):
                with self.subTest(state=state, scope=scope):
                    job = job_in(state, self.alice)
                    self.order("retry", job, meant(scope, job))
                    assert tried(job) == expected

    def test_it_says_why_not_and_changes_nothing(self) -> None:
        for state in BEFORE:
            for scope in SCOPES:
                with self.subTest(state=state, scope=scope), undone():
                    self.refused(self.jobs[state], scope, POSSIBLE["retry"][1])
        for scope in ("all", "rows", "item"):
            with self.subTest(state="flawless", scope=scope), undone():
                self.refused(self.jobs["flawless"], scope, "There is no failed item to try again.")

    def test_it_waits_for_what_is_in_flight(self) -> None:
        for scope in SCOPES[1:]:
            with self.subTest(scope=scope), undone():
                self.refused(self.jobs["cancelling"], scope, IN_FLIGHT)

    def test_it_takes_all_that_failed_while_others_are_in_flight(self) -> None:
        job = self.jobs["cancelling"]
        before = rows(job)
        self.order("retry", job, {})
        assert differing(before, rows(job)) == {2, 3}
        assert fresh(job).state == "queued"

    def test_it_refuses_what_is_tried_before_the_start(self) -> None:
        job = self.jobs["ready"]
        actions.trial(job, self.alice, count=2)
        self.refused(job, "all", "Rows are being tried. Failed items can be tried again after that.")

    def refused(self, job: Job, scope: str, sentence: str) -> None:
        before, told = rows(job), Activity.objects.count()
        assert said(self.order("retry", job, meant(scope, job))) == sentence
        assert differing(before, rows(job)) == set()
        assert (fresh(job).state, Activity.objects.count(), wrong(job)) == (job.state, told, [])

    def test_it_speaks_of_accepted_failures_only_where_they_were_meant(self) -> None:
        job = self.jobs["finished"]
        assert said(self.order("retry", job, {"rows": "1"})) == "There is no failed item to try again."
        self.order("retry", job, {})
        assert said(self.order("retry", job, {})).startswith("No other item has failed; 1 item whose failure is")


class AcceptTests(PagesCase):
    def test_it_accepts_exactly_what_is_meant(self) -> None:
        for state in (*OPEN, "cancelling", "cancelled", "finished"):
            for scope, expected in zip(SCOPES, ACCEPTED, strict=True):
                with self.subTest(state=state, scope=scope), undone():
                    job = self.jobs[state]
                    before = rows(job)
                    answer = self.order("accept", job, meant(scope, job))
                    assert said(answer) == f"{len(expected)} failure{'s' * (len(expected) > 1)} accepted."
                    self.changed(job, before, expected)

    def test_it_takes_back_exactly_what_is_meant(self) -> None:
        for state in (*OPEN, "cancelling", "cancelled", "finished"):
            for scope, expected in zip(SCOPES, TAKEN_BACK, strict=True):
                with self.subTest(state=state, scope=scope), undone():
                    job = self.jobs[state]
                    before = rows(job)
                    answer = self.order("accept", job, {"accepted": "0"} | meant(scope, job))
                    no = "There is no accepted failure to take back."
                    assert said(answer) == ("1 failure is no longer accepted." if expected else no)
                    self.changed(job, before, expected)

    def changed(self, job: Job, before: dict[int, Any], expected: set[int]) -> None:
        after = rows(job)
        assert differing(before, after) == expected
        assert {**before, **{row: before[row] | {"accepted": after[row]["accepted"]} for row in expected}} == after
        assert (fresh(job).state, wrong(job)) == (job.state, [])

    def test_it_says_why_not_and_changes_nothing(self) -> None:
        for state in (*BEFORE, "flawless"):
            for scope in ("all", "rows", "item") if state == "flawless" else SCOPES:
                with self.subTest(state=state, scope=scope), undone():
                    job = self.jobs[state]
                    before = rows(job)
                    sentence = "There is no failure to accept." if state == "flawless" else POSSIBLE["accept"][1]
                    assert said(self.order("accept", job, meant(scope, job))) == sentence
                    assert differing(before, rows(job)) == set()


class QuestionTests(PagesCase):
    """To ask changes nothing, and promises what the order does."""

    def ask(self, verb: str, job: Job, scope: str, part: bool) -> str:
        before, told = rows(job), Activity.objects.count()
        headers = {"HX-Request": "true"} if part else {}
        answer = self.client.get(self.url(verb, job), meant(scope, job), headers=headers)
        assert answer.status_code == 200
        assert (b"<html" in answer.content) != part
        assert differing(before, rows(job)) == set()
        assert (fresh(job).state, Activity.objects.count()) == (job.state, told)
        return heading(answer, 2 if part else 1)

    def test_it_counts_what_would_be_tried(self) -> None:
        for state in (*OPEN, "cancelled", "finished"):
            for scope, expected in zip(SCOPES, RETRIED.get(state, RETRIED["open"]), strict=True):
                for part in (False, True):
                    with self.subTest(state=state, scope=scope, part=part), undone():
                        asked = self.ask("retry", self.jobs[state], scope, part)
                        assert asked == f"Retry {len(expected)} item{'s' * (len(expected) > 1)}"

    def test_it_counts_what_would_be_accepted(self) -> None:
        for state in (*OPEN, "cancelling", "cancelled", "finished"):
            for scope, expected in zip(SCOPES, ACCEPTED, strict=True):
                with self.subTest(state=state, scope=scope), undone():
                    asked = self.ask("accept", self.jobs[state], scope, part=False)
                    assert asked == f"Accept {len(expected)} failure{'s' * (len(expected) > 1)}"

    def test_it_has_nothing_to_ask_where_nothing_can_be_done(self) -> None:
        for state in (*BEFORE, "flawless"):
            for scope in ("all", "rows", "item") if state == "flawless" else SCOPES:
                for verb in ("retry", "accept"):
                    with self.subTest(state=state, scope=scope, verb=verb), undone():
                        assert self.ask(verb, self.jobs[state], scope, part=True) == f"Nothing to {verb}"

    def test_it_says_beforehand_what_the_order_would_say(self) -> None:
        tried = self.jobs["ready"]
        actions.trial(tried, self.alice, count=2)
        for scope in ("all", "cause", "rows", "both"):
            answer = self.client.get(self.url("retry", tried), meant(scope, tried))
            self.assertContains(answer, said(self.order("retry", tried, meant(scope, tried))))


class TogetherTests(OrdersCase):
    """Two administrators at the same job, with the same page before them."""

    def setUp(self) -> None:
        self.vera = operator()
        self.first, self.second = signed_in(self.sam), signed_in(self.vera)
        self.job = worked(self.alice, csv_of(12, lambda at: ("ok", "fail:Red", "fail:Blue")[at % 3]))

    def both(self, verb: str, sent: dict[str, Any]) -> list[str]:
        for client in (self.first, self.second):
            assert client.get(self.url(verb, self.job), sent).status_code == 200
        return [said(self.order(verb, self.job, sent, client)) for client in (self.first, self.second)]

    def test_it_retries_the_same_rows_once(self) -> None:
        assert self.both("retry", {"rows": "2,3,5"}) == [
            "3 items queued again.", "There is no failed item to try again."
        ]  # fmt: skip
        assert states(self.job).count("pending") == 3
        assert [(run.by, run.items) for run in Run.objects.filter(job=self.job, kind="retry")] == [(self.sam, 3)]

    def test_it_retries_for_the_second_what_is_left(self) -> None:
        red = self.job.causes.get(kind="Red").pk
        answers = [
            said(self.order("retry", self.job, sent, client))
            for client, sent in ((self.first, {"cause": red}), (self.second, {"rows": "1-6"}))
        ]
        assert answers == ["4 items queued again.", "2 items queued again."]
        assert tried(self.job) == {2, 3, 5, 6, 8, 11}
        assert {rows(self.job)[row]["attempts"] for row in (2, 3, 5, 6, 8, 11)} == {2}

    def test_it_accepts_the_same_cause_once(self) -> None:
        red = self.job.causes.get(kind="Red").pk
        assert self.both("accept", {"cause": red}) == ["4 failures accepted.", "There is no failure to accept."]
        assert Cause.objects.get(pk=red).accepted == 4
        assert self.job.activities.get(verb="accept").by == self.sam

    def test_it_lets_one_retry_what_the_other_has_just_accepted(self) -> None:
        red = self.job.causes.get(kind="Red").pk
        self.order("accept", self.job, {"cause": red}, self.first)
        assert said(self.order("retry", self.job, {"cause": red}, self.second)) == "4 items queued again."
        assert not Cause.objects.filter(job=self.job, accepted__gt=F("count")).exists()
        assert wrong(self.job) == []
