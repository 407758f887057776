"""Parameters have a length, wherever they are given; those that were longer before go on working."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from jobs import actions, tasks
from jobs.models import Job
from jobs.models.job import Refused
from jobs.processors import Input, Parameter, Processor, registry
from tests.base import People, loaded

SECRET = "“token” has 4,001 characters; a secret may have 4,000 at most."
TEXT = "“prompt” has 100,001 characters; a parameter may have 100,000 at most."
LONG = {"token": "s" * 4_001, "prompt": "p" * 100_001}


class Speaker(Processor):
    name, label = "speaker", "Speaker"
    inputs = (Input("text"),)
    parameters = (Parameter("prompt"), Parameter("token", secret=True), Parameter("note", harmless=True))

    def process(self, inputs: Any, context: Any) -> Any:
        if context.parameters["note"] != "good":
            raise ValueError("no")
        return len(context.parameters["prompt"] or "")


class LongTests(People):
    def setUp(self) -> None:
        known = patch.dict(registry._processors, {"speaker": Speaker()})
        known.start()
        self.addCleanup(known.stop)
        self.client.force_login(self.alice)

    def made(self, **fields: Any) -> Job:
        return loaded(self.alice, "text\na\n", processor="speaker", **fields)

    def ended(self, **values: Any) -> Job:
        job = self.made(parameters=values)
        tasks.work()
        return job

    def test_it_says_so_on_the_form_of_a_new_job(self) -> None:
        for name, sentence in (("token", SECRET), ("prompt", TEXT)):
            sent = {"file": SimpleUploadedFile("rows.csv", b"text\na\n"), f"param_{name}": LONG[name]}
            answer = self.client.post("/jobs/new/", {"processor": "speaker", **sent})
            self.assertContains(answer, sentence, status_code=422)
        assert not Job.objects.exists()

    def test_it_says_so_where_a_job_is_changed(self) -> None:
        job = self.made(start=False)
        sent = {"processor": "speaker", "upload": job.upload.pk, "param_prompt": LONG["prompt"]}
        self.assertContains(self.client.post(f"/jobs/{job.code}/change/", sent), TEXT, status_code=422)

    def test_it_says_so_where_items_are_tried_again(self) -> None:
        job = self.ended()
        for name, sentence in (("token", SECRET), ("prompt", TEXT)):
            answer = self.client.post(f"/jobs/{job.code}/retry/", {f"param_{name}": LONG[name]})
            self.assertContains(answer, sentence, status_code=422)
            with self.assertRaisesMessage(Refused, sentence):
                actions.retry(Job.objects.get(), self.alice, parameters={name: LONG[name]})

    def test_it_says_so_on_the_command_line(self) -> None:
        job = self.ended()
        with TemporaryDirectory() as folder:
            path = Path(folder, "rows.csv")
            path.write_text("text\na\n")
            for command in (["submit", str(path), "--processor", "speaker", "--user", "alice"], ["retry", job.code]):
                with self.assertRaisesMessage(CommandError, SECRET):
                    call_command(*command, "--param", f"token={LONG['token']}", stdout=io.StringIO())
        assert Job.objects.count() == 1

    def test_it_works_on_with_longer_ones_of_before(self) -> None:
        job = self.ended(prompt="p" * 300_000, token="s" * 9_000, note="bad")
        assert job.items.get().error == "no"
        answer = self.client.post(f"/jobs/{job.code}/retry/", {"param_note": "good", "param_token": ""})
        assert answer.status_code == 302
        tasks.work()
        assert job.items.get().result == "300000"

    def test_it_changes_a_job_with_longer_ones_of_before(self) -> None:
        job = self.made(start=False, parameters={"prompt": "p" * 100_001, "token": "s" * 9_000})
        sent = {"processor": "speaker", "upload": job.upload.pk, "param_prompt": "p" * 100_001, "then": "check"}
        assert self.client.post(f"/jobs/{job.code}/change/", sent | {"param_note": "good"}).status_code == 302
