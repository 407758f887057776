"""A retry under other settings, what its question says, and how it takes nonsense."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.test import override_settings

from jobs import actions, tasks
from jobs.items import impact
from jobs.models import Activity, Job, parameters
from jobs.processors import registry
from tests.base import People, csv_of, loaded, worked
from tests.steps import wrong
from tests.views.fixed import ROWS, differing, fresh, heading, job_in, rows, said
from tests.views.test_job_new import Typed

TYPED = {"count": 3, "share": 0.5, "loud": True, "mood": "calm", "token": "hunter22", "odd": 1}
FIXED = "Parameters can be changed once the job has ended: items that wait would run with them, too."
NONSENSE = "no rows. Name some like this: 3,17,20-25."


def failing(at: int) -> str:
    return "fail:Red" if at % 3 == 1 else "ok"


class SettingsCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.job = worked(self.alice, csv_of(6, failing), workers=10, timeout=60.0)
        self.url = f"/jobs/{self.job.code}/retry/"

    def shown(self) -> dict[str, Any]:
        """What a browser sends where nobody typed: what stands in the fields, and what stood in them at first."""
        form = self.client.get(self.url).context["form"]
        now = {bound.html_name: bound.value() for bound in [*form.policy_fields, *form.parameter_fields]}
        sent = {name: "" if value is None else value for name, value in now.items() if value is not False}
        first = {bound.html_initial_name: bound.value() for bound in form if bound.field.show_hidden_initial}
        return sent | {name: "" if value is None else value for name, value in first.items()}

    def send(self, **changed: Any) -> Any:
        return self.client.post(self.url, self.shown() | changed)

    def told(self) -> list[str]:
        return list(Activity.objects.filter(job=self.job).order_by("pk").values_list("text", flat=True))[3:]

    def refused(self, answer: Any, sentence: str, field: str = "") -> None:
        assert answer.status_code == 422
        self.assertContains(answer, sentence, status_code=422)
        if field:
            self.assertContains(answer, f'<p class="error" id="retry_{field}_error">{sentence}', status_code=422)
        assert (fresh(self.job).seq, self.told(), wrong(self.job)) == (self.job.seq, [], [])


class DialTests(SettingsCase):
    def test_it_changes_each_dial_and_says_from_what_to_what(self) -> None:
        for name, value, stored, text in (
            ("workers", "20", 20, "Changed items at a time from 10 to 20"),
            ("attempts", "3", 3, "Changed attempts from 1 to 3"),
            ("timeout", "", None, "Changed the timeout from 1 min to no limit"),
            ("rate", "2.5", 2.5, "Changed the rate from no limit to 2.5/s"),
        ):
            with self.subTest(name=name):
                self.setUp()
                answer = self.send(**{name: value})
                assert said(answer) == f"2 items queued again. {text}."
                assert self.told() == [text, "Retried 2 items"]
                run = self.job.runs.latest("pk")
                assert (getattr(fresh(self.job), name), run.policy[name]) == (stored, stored)

    def test_it_takes_effect_on_what_is_tried_then(self) -> None:
        self.send(attempts="3")
        tasks.work()
        assert {row: stored["attempts"] for row, stored in rows(self.job).items() if stored["attempts"] > 1} == {
            2: 4, 5: 4
        }  # fmt: skip

    def test_it_leaves_everything_as_it_was_where_nothing_was_typed(self) -> None:
        assert said(self.send()) == "2 items queued again."
        assert self.told() == ["Retried 2 items"]

    def test_it_leaves_alone_what_somebody_else_changed_meanwhile(self) -> None:
        seen = self.shown()
        Job.objects.filter(pk=self.job.pk).update(workers=3)
        self.client.post(self.url, seen | {"rate": "5"})
        assert (fresh(self.job).workers, fresh(self.job).rate) == (3, 5.0)

    def test_it_says_at_the_field_what_is_wrong_and_tries_nothing(self) -> None:
        for field, value, sentence in (
            ("workers", "0", "At least one item at a time."),
            ("workers", "201", "At most 200 items at a time are allowed here."),
            ("workers", "", "This field is required."),
            ("attempts", "21", "Ensure this value is less than or equal to 20."),
            ("attempts", "two", "Enter a whole number."),
            ("timeout", "0", "Ensure this value is greater than or equal to 0.1."),
            ("timeout", "nan", "Enter a number."),
            ("rate", "-1", "Ensure this value is greater than or equal to 0.001."),
            ("rate", "1e400", "Enter a number."),
        ):
            with self.subTest(field=field, value=value):
                self.refused(self.send(**{field: value}), sentence, field)

    def test_it_keeps_what_was_typed_and_what_was_meant(self) -> None:
        cause = self.job.causes.get().pk
        answer = self.client.post(
            self.url,
            self.shown() | {"workers": "0", "rate": "7", "cause": cause, "rows": "2", "item": "2"},
            headers={"HX-Request": "true"},
        )
        self.refused(answer, "At least one item at a time.", "workers")
        for field in (f'name="cause" value="{cause}"', 'name="rows" value="2"', 'name="item" value="2"',
                      'name="rate" value="7"', 'class="fold retry-how" open'):  # fmt: skip
            self.assertContains(answer, field, status_code=422)
        assert b"<html" not in answer.content

    def test_it_changes_a_job_that_runs(self) -> None:
        job = job_in("running", self.alice)
        self.client.post(f"/jobs/{job.code}/retry/", {"rows": "2", "workers": "4"})
        assert (fresh(job).workers, fresh(job).state) == (4, "running")

    def test_it_changes_nothing_where_nothing_is_tried(self) -> None:
        answer = self.client.post(self.url, {"rows": "1", "workers": "4"})
        assert said(answer) == "There is no failed item to try again."
        assert (fresh(self.job).workers, self.told()) == (10, [])


class ParameterTests(SettingsCase):
    def test_it_changes_a_parameter(self) -> None:
        answer = self.send(param_seconds="0.02")
        assert said(answer) == "2 items queued again. Changed the parameters seconds."
        assert self.told() == ["Changed the parameters seconds", "Retried 2 items"]
        run = fresh(self.job).run
        assert (fresh(self.job).parameters["seconds"], run and run.parameters["seconds"]) == (0.02, 0.02)

    def test_it_says_at_the_field_what_is_wrong_and_tries_nothing(self) -> None:
        for field, value, sentence in (
            ("param_seconds", "soon", "Enter a number."),
            ("param_seconds", "-1", "Ensure this value is greater than or equal to 0"),
            ("param_fail", "2", "Ensure this value is less than or equal to 1"),
        ):
            with self.subTest(field=field, value=value):
                answer = self.send(**{field: value})
                self.refused(answer, sentence)
                self.assertContains(answer, f'id="retry_{field}_error"', status_code=422)

    def test_it_says_what_does_not_go_together(self) -> None:
        answer = self.send(param_fail="0.6", param_hang="0.6")
        self.refused(answer, "“fail”, “hang” and “crash” together are more than 1.", "param_fail")

    def test_it_knows_no_other_parameters(self) -> None:
        self.refused(self.send(param_speed="9"), "simulate has no parameter “speed”.")
        self.refused(self.send(**{"param_<b>" + "x" * 500: "9"}), "has no parameter “&lt;b&gt;xxx")

    def test_it_changes_none_while_others_wait(self) -> None:
        job = job_in("running", self.alice)
        self.assertContains(self.client.get(f"/jobs/{job.code}/retry/"), FIXED)
        before = rows(job)
        answer = self.client.post(f"/jobs/{job.code}/retry/", {"param_seconds": "1", "initial-param_seconds": "0"})
        self.assertContains(answer, FIXED, status_code=422)
        assert differing(before, rows(job)) == set()
        assert fresh(job).parameters["seconds"] == 0

    def test_it_retries_a_job_whose_processor_is_gone(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(processor="retired", parameters={"token": "hunter22"})
        self.assertNotContains(self.client.get(self.url), "hunter22")
        assert said(self.send(workers="2")) == "2 items queued again. Changed items at a time from 10 to 2."
        assert set(fresh(self.job).parameters) == {"token"}


class TypedTests(SettingsCase):
    """Parameters of each type, one of them a secret and one a box."""

    def setUp(self) -> None:
        super().setUp()
        known = patch.dict(registry._processors, {"typed": Typed()})
        known.start()
        self.addCleanup(known.stop)
        Job.objects.filter(pk=self.job.pk).update(processor="typed", parameters=TYPED)

    def now(self) -> dict[str, Any]:
        return parameters.opened(self.job.code, fresh(self.job).parameters)

    def type_again(self, **changed: Any) -> None:
        """Sends a change without the secret, which is refused, and with it."""
        self.refused(self.send(**changed), f"Type “token” again: “{next(iter(changed))[6:]}” changes", "param_token")
        self.send(**changed, param_token="hunter22")

    def test_it_keeps_a_secret_that_is_left_empty_and_shows_it_to_nobody(self) -> None:
        page = self.client.get(self.url)
        self.assertContains(page, "Leave it empty to keep the present one.")
        self.assertNotContains(page, "hunter22")
        self.send(param_count="4", param_token="")
        assert self.now() == TYPED | {"count": 4}

    def test_it_takes_another_secret_and_names_it_only(self) -> None:
        assert said(self.send(param_token="correct horse")) == "2 items queued again. Changed the parameters token."
        assert self.now() == TYPED | {"token": "correct horse"}
        assert "correct horse" not in " ".join(self.told())

    def test_it_repeats_no_secret_beside_a_mistake(self) -> None:
        answer = self.send(param_token="correct horse", param_count="10")
        self.refused(answer, "Ensure this value is less than or equal to 9.", "param_count")
        self.assertNotContains(answer, "correct horse", status_code=422)
        assert self.now() == TYPED

    def test_it_takes_a_tick_away(self) -> None:
        sent = self.shown()
        del sent["param_loud"]
        assert self.client.post(self.url, sent).status_code == 422
        self.client.post(self.url, sent | {"param_token": "hunter22"})
        assert self.now() == TYPED | {"loud": False}

    def test_it_knows_what_can_be_chosen(self) -> None:
        self.type_again(param_mood="wild")
        assert self.now() == TYPED | {"mood": "wild"}

    def test_it_refuses_what_cannot_be_chosen(self) -> None:
        self.refused(self.send(param_mood="sad"), "Select a valid choice. sad is not one of the available choices.",
                     "param_mood")  # fmt: skip

    def test_it_puts_what_the_processor_says_at_its_field(self) -> None:
        self.refused(self.send(param_odd="2"), "Must be odd.", "param_odd")


class SentencesTests(People):
    """Which items stay as they are, and why there is nothing to do."""

    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def left_out(self, job: Job, **sent: Any) -> list[str]:
        answers = [self.client.get(f"/jobs/{job.code}/retry/", sent, headers=headers) for headers in (
            {}, {"HX-Request": "true"}
        )]  # fmt: skip
        for answer in answers:
            for sentence in answer.context["left_out"]:
                self.assertContains(answer, sentence)
            assert "HX-Request" in answer["Vary"]
        return list(answers[0].context["left_out"])

    def test_it_says_what_stays_as_it_is(self) -> None:
        for state, sent, sentences in (
            ("finished", {}, ["1 accepted failure stays as it is."]),
            ("finished", {"cause": "Red"}, ["1 of them is accepted, and tried all the same."]),
            ("finished", {"rows": "1-8"}, [
                "1 of them is accepted, and tried all the same.",
                "1 item was rejected, which only an edit can fix.",
                "4 items have succeeded or are worked on already.",
            ]),
            ("running", {"rows": "1,2,5"}, ["2 items have succeeded or are worked on already."]),
            ("cancelled", {"rows": "2"}, ["3 items that were never attempted stay as they are."]),
            ("cancelled", {"rows": "2,5,6"}, ["1 item that was never attempted stays as it is."]),
            ("cancelled", {"cause": "Blue"}, ["3 items that were never attempted stay as they are."]),
            ("finished", {"rows": "2"}, []),
        ):  # fmt: skip
            with self.subTest(state=state, sent=sent):
                job = job_in(state, self.alice)
                causes = {kind: str(key) for kind, key in job.causes.values_list("kind", "pk")}
                asked = {name: causes.get(value, value) for name, value in sent.items()}
                assert self.left_out(job, **asked) == sentences

    def test_it_counts_no_less_than_nothing(self) -> None:
        job = job_in("cancelling", self.alice)
        assert self.left_out(job, rows="2,5-7") == []

    def test_it_says_why_there_is_nothing_to_do(self) -> None:
        job = job_in("finished", self.alice)
        actions.accept(job, self.alice)
        for verb, sent, why in (
            ("retry", {}, "All of these failures are accepted, so there is nothing to try again."),
            ("retry", {"rows": "1,8"}, "None of these items has failed, so there is nothing to try again."),
            ("accept", {}, "All of these failures are accepted, so there is nothing to accept."),
            ("accept", {"rows": "2"}, "All of these failures are accepted, so there is nothing to accept."),
            ("accept", {"rows": "1"}, "None of these items has failed, so there is nothing to accept."),
        ):
            with self.subTest(verb=verb, sent=sent):
                answer = self.client.get(f"/jobs/{job.code}/{verb}/", sent, headers={"HX-Request": "true"})
                assert heading(answer, 2) == f"Nothing to {verb}"
                self.assertContains(answer, why)
                self.assertNotContains(answer, 'class="button primary"')

    def test_it_says_which_items_they_are(self) -> None:
        job = job_in("cancelled", self.alice)
        red = job.causes.get(kind="Red")
        for sent, what in (
            ({}, "2 that failed and 3 that were never attempted."), ({"rows": "2"}, "Row 2."),
            ({"rows": ["2", "3"]}, "2 chosen rows."), ({"cause": red.pk}, "All that failed for one cause:"),
        ):  # fmt: skip
            with self.subTest(sent=sent):
                self.assertContains(self.client.get(f"/jobs/{job.code}/retry/", sent), f"<p>{what}")


class NonsenseTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.job = job_in("finished", self.alice)

    def test_it_answers_nonsense_with_a_sentence_and_does_nothing(self) -> None:
        other = job_in("finished", self.alice).causes.get(kind="Red").pk
        before = rows(self.job)
        for sent, sentence in (
            ({"rows": "two"}, f"“two” names {NONSENSE}"),
            ({"rows": "0"}, "“0” names no rows: they are counted from 1, and the first one comes first."),
            ({"rows": "-1"}, f"“-1” names {NONSENSE}"),
            ({"rows": "3-2"}, "“3-2” names no rows: they are counted from 1, and the first one comes first."),
            ({"rows": "9"}, "There is no row 9: the job has 8."),
            ({"rows": "1-9999999999"}, "There is no row 9,999,999,999: the job has 8."),
            ({"rows": "1-99999999999"}, f"“1-99999999999” names {NONSENSE}"),
            ({"rows": "2\0"}, f"names {NONSENSE}"),
            ({"rows": "٢"}, f"“٢” names {NONSENSE}"),
            ({"rows": ","}, "No rows are named. Name some like this: 3,17,20-25."),
            ({"rows": ""}, "No rows are chosen. Mark some first."),
            ({"chosen": ""}, "No rows are chosen. Mark some first."),
            ({"rows": "x" * 100_000}, f"“{'x' * 40}” names {NONSENSE}"),
            ({"rows": "1," * 1_001}, "Up to 1,000 rows and ranges can be named at a time, not 1,001."),
            ({"cause": "red"}, "This job has no cause “red”."),
            ({"cause": "0"}, "This job has no cause “0”."),
            ({"cause": "-1"}, "This job has no cause “-1”."),
            ({"cause": str(other)}, f"This job has no cause “{other}”."),
            ({"cause": "9" * 18}, f"This job has no cause “{'9' * 18}”."),
            ({"cause": "9" * 5_000}, f"This job has no cause “{'9' * 40}”."),
            ({"cause": "1\0"}, "This job has no cause “1"),
            ({"cause": "²"}, "This job has no cause “²”."),
            ({"cause": "<script>"}, "This job has no cause “<script>”."),
        ):
            for verb in ("retry", "accept"):
                for method in ("get", "post"):
                    with self.subTest(sent=str(sent)[:60], verb=verb, method=method):
                        answer = getattr(self.client, method)(f"/jobs/{self.job.code}/{verb}/", sent)
                        assert answer.status_code == 302
                        assert sentence in said(answer)
        assert differing(before, rows(self.job)) == set()

    def test_it_says_so_on_the_page_as_text(self) -> None:
        answer = self.client.get(f"/jobs/{self.job.code}/retry/", {"cause": "<script>"}, follow=True)
        self.assertContains(answer, "This job has no cause “&lt;script&gt;”.")

    def test_it_goes_back_where_the_button_was_whatever_that_says(self) -> None:
        for item, back in (("2", "items/2/"), ("9", ""), ("0", ""), ("x", ""), ("2\0", ""), ("²", ""), ("9" * 99, "")):
            with self.subTest(item=item[:9]):
                answer = self.client.post(f"/jobs/{self.job.code}/accept/", {"rows": "1", "item": item})
                assert answer["Location"] == f"{self.job.get_absolute_url()}{back}"

    def test_it_names_no_more_rows_than_it_can_hold(self) -> None:
        with patch.object(impact, "MOST", 5):
            answer = self.client.post(f"/jobs/{self.job.code}/retry/", {"rows": "1-6"})
        assert said(answer) == "Up to 5 rows can be chosen at a time. Choose their cause instead."

    def test_it_takes_rows_in_any_order_and_more_than_once(self) -> None:
        answer = self.client.post(f"/jobs/{self.job.code}/retry/", {"rows": ["3, 2-3", "2"]})
        assert said(answer) == "2 items queued again."

    @override_settings(JOBS_MAX_RUNNING_JOBS=1)
    def test_it_begins_no_more_jobs_than_the_owner_may_have(self) -> None:
        loaded(self.alice, ROWS)
        before = rows(self.job)
        assert "1 at a time is allowed" in said(self.client.post(f"/jobs/{self.job.code}/retry/"))
        assert differing(before, rows(self.job)) == set()
