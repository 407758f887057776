"""Stored secrets: encrypted by the upgrade, encrypted anew, and taken back."""

from __future__ import annotations

import json
from importlib import import_module
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from jobs import tasks
from jobs.maintenance import key_rotation
from jobs.models import Job, JobState, Run, parameters
from jobs.processors import registry
from jobs.processors.values import BY, is_encrypted
from jobs.worker import broker
from tests.base import People, loaded, make_job
from tests.views.test_job_new import Typed

KEYS = ("a-key-of-many-letters-0123456789-one", "a-key-of-many-letters-0123456789-two")
PLAIN = {"count": 3, "share": 0.5, "loud": True, "mood": "calm", "token": "hunter22", "odd": 1}
MIGRATION = import_module("jobs.migrations.0017_secrets_encrypted")


class RotationCase(People):
    def setUp(self) -> None:
        known = patch.dict(registry._processors, {"typed": Typed()})
        known.start()
        self.addCleanup(known.stop)
        self.job = loaded(self.alice, "text\na\n", processor="typed", parameters=PLAIN)

    def plain(self, **fields: Any) -> None:
        """Stores the parameters as an earlier version did."""
        Job.objects.filter(pk=self.job.pk).update(parameters=PLAIN, **fields)
        Run.objects.filter(job=self.job).update(parameters=PLAIN)

    def stored(self) -> list[dict[str, Any]]:
        return [Job.objects.get(pk=self.job.pk).parameters, *Run.objects.values_list("parameters", flat=True)]

    def opened(self) -> list[dict[str, Any]]:
        return [parameters.opened(self.job.code, values) for values in self.stored()]

    def raw(self) -> str:
        """What stands in the tables."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT parameters FROM jobs_job UNION ALL SELECT parameters FROM jobs_run")
            return json.dumps(cursor.fetchall(), default=str)

    def rotate(self, *, fails: bool = False) -> str:
        out = StringIO()
        with pytest.raises(SystemExit) as left:
            call_command("rotate_secrets", stdout=out, stderr=StringIO())
        assert left.value.code == int(fails)
        return out.getvalue()


class MigrationTests(RotationCase):
    def test_it_encrypts_what_stands_there_as_typed(self) -> None:
        self.plain()
        assert "hunter22" in self.raw()
        MIGRATION.encrypt(apps, None)
        assert "hunter22" not in self.raw()
        assert self.opened() == [PLAIN, PLAIN]
        assert all(values["token"][BY] == self.alice.pk for values in self.stored())

    def test_it_leaves_alone_what_is_no_secret(self) -> None:
        self.plain()
        MIGRATION.encrypt(apps, None)
        for values in self.stored():
            assert [name for name, value in values.items() if is_encrypted(value)] == ["token"]

    def test_it_is_taken_back(self) -> None:
        MIGRATION.encrypt(apps, None)
        MIGRATION.decrypt(apps, None)
        assert self.stored() == [PLAIN, PLAIN]

    def test_it_does_nothing_twice(self) -> None:
        MIGRATION.encrypt(apps, None)
        before = self.stored()
        MIGRATION.encrypt(apps, None)
        assert self.stored() == before

    def test_it_encrypts_everything_of_a_processor_that_nobody_knows(self) -> None:
        self.plain(processor="retired")
        MIGRATION.encrypt(apps, None)
        assert all(is_encrypted(value) for value in self.stored()[0].values())
        MIGRATION.decrypt(apps, None)
        assert self.stored() == [PLAIN, PLAIN]

    def test_it_keeps_only_secrets_encrypted_once_the_processor_is_back(self) -> None:
        self.plain(processor="retired")
        MIGRATION.encrypt(apps, None)
        Job.objects.update(processor="typed")
        self.rotate()
        for values in self.stored():
            assert [name for name, value in values.items() if is_encrypted(value)] == ["token"]
        assert self.opened() == [PLAIN, PLAIN]

    def test_it_reads_no_row_that_cannot_hold_a_secret(self) -> None:
        loaded(self.alice)
        found = key_rotation.Rotation()
        list(found.go(Job.objects.all(), Run.objects.all(), found.under_first_key))
        assert found.rows == 2  # the job and its run, and not those of the other one

    def test_it_goes_in_bounded_transactions(self) -> None:
        for _ in range(4):
            loaded(self.alice, "text\na\n", processor="typed", parameters=PLAIN)
        found = key_rotation.Rotation()
        with patch.object(key_rotation, "ROWS", 2):
            assert list(found.go(Job.objects.all(), Run.objects.all(), found.under_first_key)) == [2, 4, 5, 7, 9, 10]


class CommandTests(RotationCase):
    def test_it_encrypts_anew_under_the_first_key(self) -> None:
        with override_settings(SECRETS_KEYS=[KEYS[1], KEYS[0]]):
            assert self.rotate().startswith("2 secrets encrypted anew, 0 that stood there as typed, 0 left")
        with override_settings(SECRETS_KEYS=[KEYS[1]], SECRET_KEY="another-key-of-many-letters-0123456789"):
            assert self.opened() == [PLAIN, PLAIN]

    def test_it_goes_on_where_it_was_stopped(self) -> None:
        with override_settings(SECRETS_KEYS=[KEYS[0]]):
            found = key_rotation.Rotation()
            going: Any = found.go(Job.objects.all(), Run.objects.all(), found.under_first_key)
            next(going)
            going.close()
            assert self.rotate().startswith("1 secret encrypted anew, 0 that stood there as typed, 1 left as they were")
            assert self.opened() == [PLAIN, PLAIN]

    def test_it_keeps_who_typed_it(self) -> None:
        with override_settings(SECRETS_KEYS=[KEYS[0]]):
            self.rotate()
            assert {values["token"][BY] for values in self.stored()} == {self.alice.pk}

    def test_it_says_what_no_key_reads(self) -> None:
        before = self.stored()
        with override_settings(SECRETS_KEYS=[KEYS[0]], SECRET_KEY="another-key-of-many-letters-0123456789"):
            said = self.rotate(fails=True)
            assert f"{self.job.code}: the secret “token” cannot be read with the keys of this server." in said
        assert self.stored() == before

    def test_it_encrypts_what_stands_there_as_typed(self) -> None:
        self.plain()
        assert "2 that stood there as typed" in self.rotate()
        assert "hunter22" not in self.raw()


class WorkTests(RotationCase):
    def test_it_works_with_the_secret(self) -> None:
        with patch.object(Typed, "process", lambda self, inputs, context: len(context.parameters["token"])):
            tasks.work()
        assert self.job.items.get().result == "8"

    def test_it_sends_nothing_but_the_number_of_the_job(self) -> None:
        sends = patch.object(broker, "try_to_send", return_value=None)
        with sends as sent, self.captureOnCommitCallbacks(execute=True):
            job = make_job(self.alice, "text\na\n", processor="typed", parameters=PLAIN)
            tasks.load_file(job.pk)
        assert {call.args for call in sent.call_args_list} == {("jobs.load_file", (job.pk,)), ("jobs.work", ())}

    def test_it_works_with_one_that_an_earlier_version_stored(self) -> None:
        self.plain()
        with patch.object(Typed, "process", lambda self, inputs, context: len(context.parameters["token"])):
            tasks.work()
        assert self.job.items.get().result == "8"

    def test_it_pauses_with_a_sentence_where_no_key_reads_it(self) -> None:
        with override_settings(SECRET_KEY="another-key-of-many-letters-0123456789"):
            tasks.work()
        job = Job.objects.get(pk=self.job.pk)
        assert job.state == JobState.PAUSED
        assert job.reason == (
            "The job cannot run: The secret “token” cannot be read with the keys of this server. "
            "Cancel the job, and enter it again under Retry."
        )

    def test_it_cannot_be_used_in_another_job(self) -> None:
        other = loaded(self.alice, "text\na\n", processor="typed", parameters=PLAIN)
        Job.objects.filter(pk=other.pk).update(parameters=self.stored()[0])
        with self.assertRaises(parameters.Unreadable):
            parameters.opened(other.code, Job.objects.get(pk=other.pk).parameters)

    def test_an_earlier_version_takes_it_for_no_text(self) -> None:
        """So it pauses the job and says so, and does not send around what is encrypted."""
        with self.assertRaises(ValueError):
            registry.get("typed").parameters[0].clean(self.stored()[0]["token"])
