"""/readyz: what monitors are told."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import Any
from unittest.mock import patch

from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone
from kombu import Connection

from batchweb import celery_app, readiness
from jobs.models import Worker
from tests.base import People


class ReadyTests(People):
    def setUp(self) -> None:
        readiness.forget()
        self.addCleanup(readiness.forget)

    def ask(self, broker: Any = True) -> tuple[int, dict[str, Any]]:
        with patch.object(readiness, "reach_broker", broker if callable(broker) else lambda: broker):
            answer = self.client.get("/readyz")
        return answer.status_code, answer.json()

    def test_it_is_ready_when_every_part_is_well(self) -> None:
        Worker.saw("w")
        parts = {"database": "ok", "broker": "ok", "worker": "ok"}
        assert self.ask() == (200, {"ready": True, "parts": parts})

    def test_it_misses_a_worker_that_was_not_seen_for_30_seconds(self) -> None:
        Worker.saw("w")
        Worker.objects.update(seen=timezone.now() - timedelta(seconds=31))
        status, said = self.ask()
        assert (status, said["parts"]["worker"]) == (503, "failed")

    def test_it_misses_the_broker(self) -> None:
        Worker.saw("w")
        assert self.ask(broker=False) == (
            503, {"ready": False, "parts": {"database": "ok", "broker": "failed", "worker": "ok"}}
        )  # fmt: skip

    def test_it_waits_a_second_for_a_broker_that_hangs(self) -> None:
        answers = Event()
        with patch.object(readiness, "BROKER_WITHIN", 0.1):
            status, said = self.ask(broker=lambda: answers.wait(60))
        assert (status, said["parts"]["broker"], answers.is_set()) == (503, "failed", False)
        answers.set()

    def test_it_misses_the_database(self) -> None:
        with (
            patch.object(Worker.objects, "of", side_effect=OperationalError("password=secret")),
            patch.object(readiness, "connection"),
        ):
            status, said = self.ask()
        assert (status, said["parts"]["database"]) == (503, "failed")
        assert "secret" not in str(said)

    def test_it_asks_once_for_many(self) -> None:
        Worker.saw("w")
        assert self.ask()[0] == 200
        with self.assertNumQueries(0):
            assert self.ask(broker=False)[0] == 200

    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_it_answers_a_probe_without_https(self) -> None:
        assert self.ask()[0] == 503


def test_it_reaches_the_broker_that_is_there() -> None:
    assert readiness.reach_broker()


def test_it_reaches_no_broker_that_is_gone() -> None:
    gone = Connection("redis+socket:///nowhere/valkey.sock")
    with patch.object(celery_app, "connection_for_write", lambda: gone):
        assert not readiness.reach_broker()
