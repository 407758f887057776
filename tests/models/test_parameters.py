"""A stored secret goes where it was typed for, and for whom: else it has to be typed again."""

from __future__ import annotations

import html
import io
import json
import re
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command

from jobs import actions, tasks
from jobs.forms import RetryForm
from jobs.ingest import importer
from jobs.models import Job, parameters
from jobs.models.job import Refused
from jobs.processors import Input, Parameter, Processor, registry
from tests.base import People, loaded, make_job

SECRET = "hunter22-of-alice"
VALUES = {"address": "https://good.example", "token": SECRET, "note": "a", "other": "second-of-alice"}
THEIRS = "Type “token” again: somebody else typed it, for the settings as they were."
MOVED = "“{}” was changed meanwhile, and secrets go along with it."
ELSEWHERE = "Type “token” again: “address” changes, which may send it to another place."


class Sender(Processor):
    name, label = "sender", "Sender"
    inputs = (Input("text"),)
    parameters = (
        Parameter("address"), Parameter("token", secret=True), Parameter("note", harmless=True),
        Parameter("other", secret=True),
    )  # fmt: skip

    def process(self, inputs: Any, context: Any) -> Any:
        raise ValueError("no")


class RetypingCase(People):
    def setUp(self) -> None:
        known = patch.dict(registry._processors, {"sender": Sender()})
        known.start()
        self.addCleanup(known.stop)
        self.job = self.made()
        tasks.work()

    def made(self, **fields: Any) -> Job:
        job = loaded(self.alice, "text,more\na,b\n", processor="sender", parameters=VALUES, **fields)
        job.share(self.bob, may_act=True, by=self.alice)
        return job

    def stored(self) -> dict[str, Any]:
        job = Job.objects.get(pk=self.job.pk)
        assert SECRET not in json.dumps(job.parameters)
        return parameters.opened(job.code, job.parameters)

    def send(self, by: Any, **typed: Any) -> Any:
        self.client.force_login(by)
        return self.client.post(f"/jobs/{self.job.code}/retry/", {f"param_{name}": typed[name] for name in typed})

    def asks(self, answer: Any, sentence: str) -> None:
        self.assertContains(answer, sentence, status_code=422)
        assert self.stored() == VALUES


class RetryTests(RetypingCase):
    def test_it_asks_again_when_another_parameter_changes(self) -> None:
        self.asks(self.send(self.alice, address="https://evil.example", token="", other=""), ELSEWHERE)

    def test_it_asks_the_owner_for_each_of_them(self) -> None:
        self.asks(self.send(self.alice, address="https://evil.example", token=SECRET, other=""), "Type “other” again")

    def test_it_asks_for_one_when_another_secret_changes(self) -> None:
        self.asks(self.send(self.alice, token="", other="new one"), "Type “token” again: “other” changes")

    def test_it_changes_the_parameter_with_the_secrets_typed_again(self) -> None:
        answer = self.send(self.alice, address="https://new.example", token=SECRET, other="second-of-alice")
        assert answer.status_code == 302
        assert self.stored() == VALUES | {"address": "https://new.example"}

    def test_it_keeps_the_secret_where_a_change_is_harmless(self) -> None:
        assert self.send(self.alice, note="b", token="", other="").status_code == 302
        assert self.stored() == VALUES | {"note": "b"}

    def test_it_never_lets_others_use_it_with_other_parameters(self) -> None:
        self.asks(self.send(self.bob, note="b", token="", other=""), THEIRS)
        self.asks(self.send(self.bob, address="https://evil.example", token="", other=""), ELSEWHERE)

    def test_it_lets_others_retry_as_before(self) -> None:
        assert self.send(self.bob).status_code == 302
        assert self.stored() == VALUES

    def test_it_takes_a_secret_of_theirs(self) -> None:
        theirs = {"token": "of-bob", "other": "too", "address": "https://bob.example"}
        assert self.send(self.bob, **theirs).status_code == 302
        assert self.stored() == VALUES | theirs

    def test_the_one_who_typed_it_last_is_who_may_keep_it(self) -> None:
        self.send(self.bob, token="of-bob", other="of-bob-too")
        tasks.work()
        self.assertContains(self.send(self.alice, note="b", token=""), THEIRS, status_code=422)
        assert self.send(self.bob, note="b", token="", other="").status_code == 302

    def test_it_is_held_below_the_form(self) -> None:
        for by, changed in ((self.bob, {"note": "b"}), (self.bob, {"address": "x"}), (self.alice, {"address": "x"})):
            with self.assertRaises(Refused):
                actions.retry(Job.objects.get(pk=self.job.pk), by, parameters=changed)
        assert self.stored() == VALUES

    def test_it_asks_again_on_the_command_line(self) -> None:
        with self.assertRaisesMessage(CommandError, ELSEWHERE):
            call_command("retry", self.job.code, "--param", "address=x", stdout=io.StringIO())

    def test_it_holds_for_what_an_earlier_version_stored(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(parameters=VALUES)
        self.assertContains(self.send(self.bob, note="b", token="", other=""), THEIRS, status_code=422)
        self.assertContains(self.send(self.alice, address="x", token=""), ELSEWHERE, status_code=422)

    def test_it_stores_none_of_an_earlier_version_in_a_new_run(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(parameters=VALUES)
        actions.retry(Job.objects.get(pk=self.job.pk), self.bob)
        assert SECRET not in json.dumps(self.job.runs.latest("pk").parameters)


class StaleTests(RetypingCase):
    """Bob has the form open since before Alice changed the address: what he typed was for the one that he saw."""

    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.bob)
        self.url = f"/jobs/{self.job.code}/retry/"
        self.seen = self.sent(self.client.get(self.url))

    def sent(self, answer: Any) -> dict[str, Any]:
        """What a browser sends of this form where nobody types: the parameters, and what they were at first."""
        sent = {}
        for bound in answer.context["form"].parameter_fields:
            for name, tag in ((bound.html_name, bound), (bound.html_initial_name, bound.as_hidden(only_initial=True))):
                if name == bound.html_name or bound.field.show_hidden_initial:
                    value = re.search(r' value="([^"]*)"', str(tag).partition('<input type="hidden')[0] or str(tag))
                    sent[name] = html.unescape(value[1]) if value else ""
        return sent

    def move(self, **changed: Any) -> dict[str, Any]:
        """Alice retries with another address and her own secrets."""
        theirs = {"address": "https://new.example", "token": "new-of-alice", "other": "new-too"} | changed
        assert self.send(self.alice, **theirs).status_code == 302
        tasks.work()
        self.client.force_login(self.bob)
        return VALUES | theirs

    def overtaken(self, answer: Any, stored: dict[str, Any], name: str = "address") -> None:
        self.assertContains(answer, MOVED.format(name), status_code=422)
        assert self.stored() == stored

    def test_it_sends_no_secret_to_where_somebody_else_moved_it(self) -> None:
        stored = self.move()
        answer = self.client.post(self.url, self.seen | {"param_token": "of-bob", "param_other": "of-bob"})
        self.overtaken(answer, stored)
        assert self.job.runs.count() == 2

    def test_it_uses_no_kept_secret_either(self) -> None:
        stored = self.move()
        self.overtaken(self.client.post(self.url, self.seen), stored)

    def test_it_shows_what_holds_now_and_takes_that(self) -> None:
        stored = self.move()
        answer = self.client.post(self.url, self.seen | {"param_token": "of-bob", "param_other": "of-bob"})
        again = self.sent(answer)
        assert (again["param_address"], again["initial-param_address"]) == ("https://new.example",) * 2
        assert (again["param_token"], again["param_note"]) == ("", "a")
        self.assertNotContains(answer, "of-bob", status_code=422)
        theirs = {"token": "of-bob", "other": "of-bob-too"}
        typed = {f"param_{name}": value for name, value in theirs.items()}
        assert self.client.post(self.url, again | typed).status_code == 302
        assert self.stored() == stored | theirs

    def test_it_keeps_what_was_typed_beside_it(self) -> None:
        self.move()
        typed = {"param_address": "https://bob.example", "param_note": "of bob", "param_token": "x", "param_other": "y"}
        again = self.sent(self.client.post(self.url, self.seen | typed))
        assert (again["param_address"], again["param_note"]) == ("https://bob.example", "of bob")
        assert again["initial-param_address"] == "https://new.example"

    def test_it_minds_nothing_that_is_harmless(self) -> None:
        assert self.send(self.alice, note="b", token="", other="").status_code == 302
        tasks.work()
        self.client.force_login(self.bob)
        theirs = {"token": "of-bob", "other": "of-bob-too"}
        typed = {f"param_{name}": value for name, value in theirs.items()}
        assert self.client.post(self.url, self.seen | typed).status_code == 302
        assert self.stored() == VALUES | theirs | {"note": "b"}

    def test_it_notices_what_changes_while_the_form_is_looked_at(self) -> None:
        sent = self.seen | {"param_token": "b", "param_other": "b"}
        form = RetryForm(Job.objects.get(pk=self.job.pk), sent, self.bob)
        assert form.is_valid()
        stored = self.move()
        with self.assertRaisesMessage(Refused, MOVED.format("address")):
            actions.retry(form.job, self.bob, parameters=form.parameters, seen=form.seen)
        assert self.stored() == stored

    def test_it_takes_any_text_for_what_it_is(self) -> None:
        for text in (" two\r\nlines\n\t", '<b>"&amp;', "{'a': 1}", ""):
            with self.subTest(text=text):
                Job.objects.filter(pk=self.job.pk).update(
                    parameters=Job.objects.get(pk=self.job.pk).protect() | {"address": text}
                )
                seen = self.sent(self.client.get(self.url)) | {"initial-param_address": text.replace("\r\n", "\n")}
                typed = {"param_token": "b", "param_other": "b"}
                assert self.client.post(self.url, seen | typed).status_code == 302
                tasks.work()

    def test_it_minds_nothing_where_there_is_no_secret(self) -> None:
        Job.objects.filter(pk=self.job.pk).update(parameters={"address": "https://new.example", "note": "a"})
        assert self.client.post(self.url, self.seen).status_code == 302


class RowsTests(RetypingCase):
    """The rows go to the processor with the secret: in one of them may stand where it is sent."""

    def edit(self, by: Any) -> Any:
        self.client.force_login(by)
        url = f"/jobs/{self.job.code}/items/1/edit/"
        form = self.client.get(url).context["form"]
        return self.client.post(url, {"seen": form["seen"].value(), "cell_0": "https://evil.example", "cell_1": "b"})

    def test_it_lets_nobody_else_fix_rows(self) -> None:
        answer = self.edit(self.bob)
        self.assertContains(answer, "Somebody else typed “other”, which is sent along with the rows", status_code=422)
        assert "evil" not in self.job.items.get().payload

    def test_it_lets_who_typed_it_fix_rows(self) -> None:
        assert self.edit(self.alice).status_code == 302
        assert "evil" in self.job.items.get().payload


class ChangeTests(RetypingCase):
    def setUp(self) -> None:
        super().setUp()
        self.job = self.made(start=False)

    def change(self, by: Any, **changed: Any) -> Any:
        self.client.force_login(by)
        url = f"/jobs/{self.job.code}/change/"
        form = self.client.get(url).context["form"]
        shown = {bound.html_name: bound.value() for bound in form if bound.value() is not None}
        sent = shown | {"param_token": "", "param_other": "", "upload": self.job.upload.pk, "then": "check"} | changed
        return self.client.post(url, {name: value for name, value in sent.items() if value is not False})

    def test_it_keeps_the_secrets_of_who_typed_them(self) -> None:
        assert self.change(self.alice, param_note="b", map_text="more").status_code == 302
        assert self.stored() == VALUES | {"note": "b"}

    def test_it_asks_again_when_another_parameter_changes(self) -> None:
        self.asks(self.change(self.alice, param_address="https://evil.example"), ELSEWHERE)

    def test_it_asks_others_when_what_is_sent_changes(self) -> None:
        self.asks(self.change(self.bob, map_text="more"), THEIRS)
        other = make_job(self.bob, "text,more\nevil,b\n", start=False)
        self.asks(self.change(self.bob, upload=other.upload.pk), THEIRS)

    def test_it_lets_others_change_how_hard_it_tries(self) -> None:
        assert self.change(self.bob, workers=3).status_code == 302
        assert self.stored() == VALUES

    def test_it_is_held_below_the_form(self) -> None:
        for by, fields in (
            (self.bob, {"mapping": {"text": "more"}}),
            (self.alice, {"parameters": Job.objects.get(pk=self.job.pk).protect() | {"address": "x"}}),
        ):
            with self.assertRaises(Refused):
                actions.change(Job.objects.get(pk=self.job.pk), by, **fields)

    def test_it_sends_no_secret_with_a_file_that_came_meanwhile(self) -> None:
        other, change = make_job(self.bob, "text,more\nevil,b\n", start=False), actions.change

        def overtaken(job: Job, by: Any, **fields: Any) -> None:
            Job.objects.filter(pk=job.pk).update(upload=other.upload)
            change(job, by, **fields)

        with patch.object(actions, "change", overtaken):
            self.change(self.alice, param_token="new-of-alice", param_other="new-of-alice-too")
        assert (Job.objects.get(pk=self.job.pk).upload, self.stored()["token"]) == (self.job.upload, "new-of-alice")

    def test_it_keeps_no_secret_that_was_another_one(self) -> None:
        old = Job.objects.get(pk=self.job.pk).protect()
        self.change(self.alice, param_token="new-of-alice", param_other="new-of-alice-too")
        importer.load(Job.objects.get(pk=self.job.pk))
        with self.assertRaisesMessage(Refused, "Type “token” again: it was changed meanwhile."):
            actions.change(Job.objects.get(pk=self.job.pk), self.alice, parameters=old)
        assert self.stored()["token"] == "new-of-alice"

    def test_it_fills_in_no_secret_to_run_it_again(self) -> None:
        self.client.force_login(self.bob)
        body = self.client.get("/jobs/new/", {"again": self.job.code}).content.decode()
        assert SECRET not in body
        assert "gAAAA" not in body
        assert "Secret parameters of that job are not filled in. Type them again." in body

    def test_it_takes_nothing_encrypted_from_outside(self) -> None:
        token = Job.objects.get(pk=self.job.pk).parameters["token"]
        self.change(self.bob, param_token=json.dumps(token), param_other="x", map_text="more")
        assert self.stored()["token"] == json.dumps(token)
