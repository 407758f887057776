"""What the settings mean for a file: the sentences, what they are reckoned from, and the answer to the form."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.engine import Policy
from jobs.engine.pace import whole
from jobs.forms.setting_hints import FIELDS, hints
from jobs.humanize import about
from jobs.live.eta import typical_seconds
from jobs.models import Shard, latency_histogram
from jobs.models.failure_limit import Limit
from tests.base import People, csv_of, worked

URL = "/jobs/hints/"


def told(
    field: str, rows: int | None = 5_000, seconds: float | None = 1.0, limit: Limit | None = None, **policy: Any
) -> str:
    return hints(rows, seconds, Policy(**policy), limit)[field]


def test_it_says_how_long_the_file_takes() -> None:
    assert told("workers") == "About 8 minutes for 5,000 rows, at the 1.0 s that one takes."


def test_it_says_what_it_takes_for_granted_without_earlier_jobs() -> None:
    assert told("workers", seconds=None) == "If one takes 1 s: about 8 minutes for 5,000 rows."


def test_it_says_how_many_a_second_without_a_file() -> None:
    assert told("workers", rows=None, seconds=None) == "10 a second at most, if one takes 1 s."


def test_it_says_that_the_rate_decides() -> None:
    assert told("workers", rate=1) == "The starts per second decide: about 83 minutes for 5,000 rows."


def test_it_reckons_in_full_turns() -> None:
    assert whole(11, 1.0, Policy(workers=10)) == 2.0


def test_it_says_how_long_the_starts_take() -> None:
    assert told("rate", rate=10) == "5,000 starts take at least 8 minutes."


def test_it_says_that_a_rate_is_no_matter_for_few_rows() -> None:
    assert told("rate", rows=2, rate=10) == "So few rows start in a few seconds."


def test_it_says_the_waits_and_the_longest_that_one_row_takes() -> None:
    assert told("attempts", attempts=3, timeout=20) == (
        "Waits up to 1 s, 2 s between the attempts; one row can take up to 1 min 3 s."
    )


def test_it_names_only_the_first_waits() -> None:
    assert told("attempts", attempts=9).startswith("Waits up to 1 s, 2 s, 4 s, 8 s and so on between")


def test_it_warns_of_a_timeout_that_most_would_reach() -> None:
    assert told("timeout", timeout=0.5) == "Too short: one takes 1.0 s, so most would fail."


def test_it_says_what_a_hanging_row_costs() -> None:
    assert told("timeout", seconds=None) == "A row that hangs holds one of 10 places for ever."
    assert told("timeout", timeout=90.0) == "A row that hangs holds one of 10 places for 1 min 30 s. One takes 1.0 s."


def test_it_says_when_a_share_pauses_the_job() -> None:
    assert told("limit_share", limit=Limit(share=5)) == (
        "Pauses at the soonest when 2 of the first 20 fail; in the end up to 250 of 5,000 may."
    )


def test_it_says_that_a_limit_is_never_reached() -> None:
    never = "The file has only 10 rows, so this never pauses it."
    assert told("limit_share", rows=10, limit=Limit(share=5)) == never
    assert told("limit_count", rows=10, limit=Limit(count=11)) == never


def test_it_says_what_part_of_the_file_a_number_is() -> None:
    assert told("limit_count", limit=Limit(count=100)) == "Pauses when 100 of 5,000 rows failed (2 %)."


def test_it_says_what_comes_after_a_streak() -> None:
    assert told("limit_streak", limit=Limit(streak=1)).startswith("Pauses at the first failure; up to 10 more")


def test_it_says_what_it_means_that_there_is_no_limit() -> None:
    assert [told(field) for field in FIELDS if field.startswith("limit_")] == [
        "No limit: all 5,000 rows are tried, however large a share fails.",
        "Says nothing without a share.",
        "No limit: all 5,000 rows are tried, however many fail.",
        "No limit: all 5,000 rows are tried, however many in a row fail.",
    ]


def test_it_does_not_say_that_all_are_tried_where_another_limit_is_set() -> None:
    assert told("limit_share", limit=Limit(count=5)) == "No limit of this kind."


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (5_000, "Before 20 of 5,000 were tried, a share does not count."),
        (None, "Before 20 were tried, a share does not count."),
        (10, "The file has only 10 rows, so a share never counts."),
    ],
)
def test_it_says_from_when_on_a_share_counts(rows: int | None, sentence: str) -> None:
    assert told("limit_sample", rows=rows, limit=Limit(share=5)) == sentence


def test_it_tells_times_coarsely() -> None:
    times = (1, 14, 64, 120, 5_000, 7_200, 86_400, 200_000)
    assert [about(seconds) for seconds in times] == [
        "a few seconds", "about 15 seconds", "about 60 seconds", "about 2 minutes", "about 83 minutes", "about 2 hours",
        "about 24 hours", "about 2 days",
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [None, 1, 5_000])
@pytest.mark.parametrize("extreme", [1e-306, 1e306])
def test_it_has_a_sentence_for_any_numbers(rows: int | None, extreme: float) -> None:
    policy = Policy(rate=extreme, timeout=extreme, attempts=20, backoff=extreme, backoff_max=extreme)
    for seconds in (None, extreme):
        assert all(hints(rows, seconds, policy, Limit(99.9, 1, 1, 1)).values())


class HintViewTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def ask(self, **fields: Any) -> dict[str, str]:
        answer = self.client.post(URL, {"processor": "simulate"} | fields)
        assert answer.status_code == 200
        return dict(answer.json())

    def timed(self, owner: User, seconds: float) -> None:
        """A finished job of the person whose attempts took so long."""
        job = worked(owner, csv_of(3))
        told = latency_histogram.add(latency_histogram.empty(), [seconds] * 3)
        Shard.objects.filter(job=job).update(histogram=told.tobytes())

    def test_it_answers_with_a_sentence_for_each_field(self) -> None:
        answer = self.ask(rows="5000", workers="10", rate="10", attempts="3", timeout="20", limit_count="50")
        assert set(answer) == set(FIELDS)
        assert answer["limit_count"] == "Pauses when 50 of 5,000 rows failed (1 %)."

    def test_it_takes_the_usual_settings_for_what_is_not_sent(self) -> None:
        assert self.ask()["timeout"] == "A row that hangs holds one of 10 places for 1 min."

    def test_it_takes_an_empty_timeout_for_none(self) -> None:
        assert self.ask(timeout="")["timeout"].endswith("for ever.")

    def test_it_leaves_out_a_field_that_makes_no_sense(self) -> None:
        answer = self.ask(workers="0", rows="many", attempts="2")
        assert "workers" not in answer
        assert answer["attempts"].startswith("Waits up to 1 s between")

    def test_it_says_nothing_of_more_items_than_a_number_can_tell(self) -> None:
        assert "workers" not in self.ask(workers="9" * 400)

    def test_it_says_nothing_of_a_rate_that_no_form_takes(self) -> None:
        assert "rate" not in self.ask(rate="1e306")

    def test_it_shows_the_form_again_for_such_a_rate(self) -> None:
        answer = self.client.post("/jobs/new/", {"processor": "simulate", "rate": "1e306"})
        assert answer.status_code == 422
        assert "less than or equal to 1000000" in answer.content.decode()

    def test_it_reckons_with_the_persons_earlier_jobs(self) -> None:
        self.timed(self.alice, 2.0)
        assert self.ask(rows="5000", workers="10")["workers"].startswith(
            "About 18 minutes for 5,000 rows, at the 2.1 s"
        )

    def test_it_knows_nothing_of_others_jobs(self) -> None:
        self.timed(self.bob, 2.0)
        assert typical_seconds("simulate", self.alice) is None

    def test_it_knows_nothing_of_other_processors(self) -> None:
        self.timed(self.alice, 2.0)
        assert typical_seconds("fetch-url", self.alice) is None

    def test_it_is_asked_by_post_only(self) -> None:
        assert self.client.get(URL).status_code == 405

    def test_it_refuses_a_request_without_the_token(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.alice)
        assert strict.post(URL, {}).status_code == 403

    def test_it_answers_nobody_who_is_not_signed_in(self) -> None:
        self.client.logout()
        assert self.client.post(URL, {}).status_code == 302
