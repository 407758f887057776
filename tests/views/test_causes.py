"""The causes on the page of a job, and all of them on a page of their own."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from jobs.models import Cause, Job
from jobs.views import causes as view
from tests.base import People, csv_of, worked

HOSTILE = "<script>alert(1)</script>"


def failing(at: int) -> str:
    return {0: "ok", 1: "fail:Red", 2: "fail:Blue"}.get(at % 4, "fail:Red")


class CausesTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def job(self, **fields: Any) -> Job:
        return worked(self.alice, csv_of(12, failing), **fields)

    def page(self, job: Job, path: str = "") -> str:
        answer = self.client.get(f"{job.get_absolute_url()}{path}")
        assert answer.status_code == 200
        return answer.content.decode()

    def many(self, count: int) -> Job:
        job = self.job()
        Cause.objects.bulk_create(
            Cause(job=job, signature=f"{at:032}", kind="E", title=f"odd {at}", sample="", count=1, first=0, last=0)
            for at in range(count)
        )
        return job

    def test_it_shows_where_each_was_seen(self) -> None:
        page = self.page(self.job())
        red = Cause.objects.get(kind="Red")
        assert "rows 2 to 12" in page
        assert "_meet in simulate.py" in page
        assert f'name="cause" value="{red.pk}"' in page
        assert f"failed.csv?cause={red.pk}" in page

    def test_it_leads_to_three_rows(self) -> None:
        job = self.job()
        page = self.page(job)
        for row in (2, 4, 6):
            assert f'<a href="/jobs/{job.code}/items/{row}/" data-item="{row}">{row}</a>' in page

    def test_it_shows_messages_as_text(self) -> None:
        job = self.job()
        Cause.objects.filter(job=job).update(title=HOSTILE, sample=HOSTILE * 2, kind=HOSTILE, top_frame=HOSTILE)
        for path in ("", "causes/"):
            page = self.page(job, path)
            assert HOSTILE not in page
            assert escape(HOSTILE) in page or "\\u003Cscript" in page

    def test_it_folds_away_what_is_accepted(self) -> None:
        job = self.job()
        assert 'id="accepted" hidden' in self.page(job)
        Cause.objects.filter(job=job, kind="Red").update(accepted=F("count"))
        page = self.page(job)
        assert 'id="accepted" hidden' not in page
        assert page.index('data-cause="') < page.index('id="causes-accepted"') < page.index("rows 2 to 12")

    def test_it_says_how_many_more_there_are(self) -> None:
        assert 'data-show="more_causes" hidden' in self.page(self.many(18))
        page = self.page(self.many(49))
        assert 'and <span id="more-causes">31</span> more causes' in page

    def test_it_says_what_only_other_inputs_fix(self) -> None:
        job = self.job()
        said = '<p class="small cause-input">'
        assert said not in self.page(job)
        Cause.objects.filter(job=job, kind="Red").update(kind="invalid input")
        assert self.page(job).count(said) == 1

    def test_it_asks_before_it_tries_a_cause_again(self) -> None:
        job = self.job()
        for path in ("", "causes/"):
            assert f'<form data-verb="retry" method="get" action="/jobs/{job.code}/retry/">' in self.page(job, path)
        page = self.page(job, f"retry/?cause={Cause.objects.get(kind='Red').pk}")
        assert "Retry 6 items" in page

    def test_it_shows_all_of_them_a_page_at_a_time(self) -> None:
        job = self.many(2 * view.PAGE)
        seen = [self.client.get(f"{job.get_absolute_url()}causes/", {"page": page}).context for page in (1, 2, 3)]
        assert [len(context["causes"]) for context in seen] == [50, 50, 2]
        assert len({cause["id"] for context in seen for cause in context["causes"]}) == 102

    def test_it_takes_odd_pages_for_one_that_is_there(self) -> None:
        job = self.many(60)
        for asked, page in (("x", 1), ("0", 1), ("-1", 1), ("99", 2), ("9" * 30, 1), ("²", 1)):
            answer = self.client.get(f"{job.get_absolute_url()}causes/", {"page": asked})
            assert (answer.status_code, answer.context["page"]) == (200, page), asked

    def test_it_shows_a_page_where_nothing_failed(self) -> None:
        assert "Nothing has failed." in self.page(worked(self.alice, csv_of(2)), "causes/")

    def test_it_shows_no_causes_of_others(self) -> None:
        job = self.job()
        self.client.force_login(self.bob)
        assert self.client.get(f"{job.get_absolute_url()}causes/").status_code == 404

    def test_it_asks_as_much_for_fifty_causes_as_for_two(self) -> None:
        asked = []
        for job in (self.job(), self.many(60)):
            with CaptureQueriesContext(connection) as queries:
                self.page(job, "causes/")
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 10
