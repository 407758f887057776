"""The panel that changes how a job runs, and the same from a terminal."""

from __future__ import annotations

from typing import Any

from jobs import actions
from jobs.models import Activity, Job
from tests.base import People, csv_of, loaded, worked
from tests.management.terminals import run


class PanelTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.job = loaded(self.alice, csv_of(9), workers=10, timeout=60.0)
        self.url = f"/jobs/{self.job.code}/adjust/"

    def send(self, **fields: Any) -> Any:
        return self.client.post(self.url, fields)

    def whole(self, **changed: Any) -> dict[str, Any]:
        """What a browser sends: all fields, and what stood in them at first."""
        form = self.client.get(self.job.get_absolute_url()).context["run_settings"]
        shown = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
        return shown | {f"initial-{name}": value for name, value in shown.items()} | changed

    def setting(self, name: str) -> Any:
        self.job.refresh_from_db()
        return getattr(self.job, name)

    def test_it_changes_what_was_changed(self) -> None:
        answer = self.send(**self.whole(workers=20, rate="5"))
        self.assertRedirects(answer, self.job.get_absolute_url())
        assert (self.setting("workers"), self.setting("rate"), self.setting("timeout")) == (20, 5.0, 60.0)

    def test_it_says_what_it_did(self) -> None:
        page = self.client.post(self.url, self.whole(workers=20, timeout=""), follow=True).content.decode()
        assert "Changed items at a time from 10 to 20. Changed the timeout from 1 min to no limit." in page

    def test_it_says_that_nothing_was_changed(self) -> None:
        page = self.client.post(self.url, self.whole(), follow=True).content.decode()
        assert "Nothing was changed." in page
        assert not Activity.objects.filter(job=self.job, verb="adjust").exists()

    def test_it_leaves_alone_what_somebody_else_changed_meanwhile(self) -> None:
        seen = self.whole(rate="5")
        actions.adjust(Job.objects.get(pk=self.job.pk), self.sam, workers=3)
        self.send(**seen)
        assert (self.setting("workers"), self.setting("rate")) == (3, 5.0)

    def test_it_takes_one_dial_by_itself(self) -> None:
        self.send(limit_streak="5")
        assert str(self.setting("limit")) == "5 in a row fail for one cause"

    def test_it_sets_the_usual_sample_for_an_empty_one(self) -> None:
        self.send(limit_share="10", limit_sample="")
        assert (self.setting("limit_share"), self.setting("limit_sample")) == (10.0, 20)

    def test_it_says_mistakes_under_their_fields(self) -> None:
        for field, value, sentence in (
            ("workers", "201", "At most 200 items at a time are allowed here."),
            ("workers", "0", "At least one item at a time."),
            ("workers", "", "This field is required."),
            ("attempts", "21", "Ensure this value is less than or equal to 20."),
            ("timeout", "0", "Ensure this value is greater than or equal to 0.1."),
            ("rate", "fast", "Enter a number."),
            ("limit_share", "100", "Ensure this value is less than or equal to 99.9."),
        ):
            answer = self.send(**self.whole(**{field: value}))
            assert answer.status_code == 422, field
            page = answer.content.decode()
            assert f'<p class="error" id="dial_{field}_error">{sentence}</p>' in page, field
            assert 'id="run-settings" data-verb="adjust" open' in page, field
        assert self.setting("seq") == Job.objects.get(pk=self.job.pk).seq

    def test_it_gives_a_page_that_is_open_the_panel_alone(self) -> None:
        answer = self.client.post(self.url, {"workers": "0"}, headers={"HX-Request": "true"})
        page = answer.content.decode()
        assert (answer.status_code, "At least one item at a time." in page, "<html" in page) == (200, True, False)

    def test_it_opens_the_part_where_the_mistake_is(self) -> None:
        page = self.send(limit_count="0").content.decode()
        assert '<details class="fold" id="run-settings-limit" open>' in page

    def test_it_shows_what_is_so_now(self) -> None:
        page = self.client.get(self.job.get_absolute_url()).content.decode()
        assert 'name="workers" value="10"' in page
        assert 'name="timeout" value="60"' in page

    def test_it_offers_nothing_to_change_in_a_job_that_has_ended(self) -> None:
        page = self.client.get(worked(self.alice).get_absolute_url()).content.decode()
        assert 'id="run-settings" data-verb="adjust" hidden' in page

    def test_it_says_the_state_before_any_mistake(self) -> None:
        job = worked(self.alice)
        page = self.client.post(f"/jobs/{job.code}/adjust/", {"workers": "many"}, follow=True).content.decode()
        assert "How a job runs can be adjusted" in page

    def test_it_changes_a_job_whose_processor_is_gone(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(processor="no-such")
        self.send(workers=4)
        assert self.setting("workers") == 4


class TerminalTests(People):
    def test_it_changes_each_dial(self) -> None:
        job = loaded(self.alice)
        done = run("adjust", job.code, "--workers", "20", "--rate", "2.5", "--timeout", "none", "--limit-streak", "5")
        assert (done.status, done.out.splitlines()) == (0, [
            "Changed items at a time from 10 to 20.",
            "Changed the timeout from 1 min to no limit.",
            "Changed the rate from no limit to 2.5/s.",
            "Changed the failure limit: pauses when 5 in a row fail for one cause.",
        ])  # fmt: skip

    def test_it_says_why_not(self) -> None:
        job = loaded(self.alice)
        for options, sentence in (
            ((), "Say what to change, as --workers 20."),
            (("--workers", "999"), "--workers 999: At most 200 items at a time are allowed here."),
            (("--limit-share", "none"), ""),
        ):
            done = run("adjust", job.code, *options)
            assert (done.status, done.err) == (2 if sentence else 0, sentence)

    def test_it_says_that_nothing_was_changed(self) -> None:
        assert run("adjust", loaded(self.alice).code, "--workers", "10").out == "Nothing was changed.\n"
