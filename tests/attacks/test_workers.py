"""Jobs that take all there is, and messages that no worker understands."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from tests.attacks import inputs
from tests.attacks.attack import Attack, small_job
from tests.attacks.inputs import MB
from tests.attacks.target import Target, code_of, target
from tests.system import csv_of, until

pytestmark = pytest.mark.attacks


def test_it_leaves_a_worker_to_others(own_attack: Attack) -> None:
    """Six jobs of 200 rows, of which each takes five minutes."""
    system = own_attack.target
    mallory = system.as_("mallory")
    fields = {"param_seconds": "300", "workers": "50", "timeout": "900"}
    codes = [system.job("mallory", csv_of(200), **fields) for _ in range(6)]

    def counts(what: str) -> list[int]:
        return [system.snapshot(mallory, code)["counts"][what] for code in codes]

    until(lambda: sum(map(bool, counts("running"))) >= 3, 60, "they take what they get")
    with own_attack:
        own_attack.others_pass(lambda: not any(counts("succeeded")))


def test_it_leaves_the_processor_to_pages(own_attack: Attack) -> None:
    """Eight jobs of 100 rows that compute for minutes, with as many workers as they may have."""
    system = own_attack.target
    mallory = system.as_("mallory")
    fields = {"param_cpu": "300", "workers": "200", "timeout": "900"}
    codes = [system.job("mallory", csv_of(100), **fields) for _ in range(8)]

    def running() -> int:
        return sum(int(system.snapshot(mallory, code)["counts"]["running"]) for code in codes)

    until(lambda: running() >= 3, 60, "they compute")
    with own_attack:
        for _ in range(5):
            own_attack.others_pass()
    assert running() >= 3


def test_it_leaves_the_reader_of_files_to_others(attack: Attack) -> None:
    """30 files of 200,000 rows that are to be read at once."""
    system = attack.target
    data = inputs.packed("1,some words\n", 200_000)
    with attack:
        sent = {"processor": "simulate", "workers": "5", "attempts": "1", "timeout": "60", "then": "check"}
        asked = partial(attack.ask, system.as_("mallory"), "POST", "/jobs/new/", data=sent,
                        files={"file": ("a.csv.gz", data)}, follow_redirects=False)  # fmt: skip
        answers = attack.together([asked] * 30, 10)
        codes = [code_of(answer) for answer in answers if answer is not None and answer.status_code == 302]
        loading = lambda: any(system.state("mallory", code) == "loading" for code in codes)  # noqa: E731
        attack.others_pass(loading if loading() else None)
    for code in codes:
        system.post(system.as_("mallory"), f"/jobs/{code}/delete/", {})


# Messages

HEADERS = {"lang": "py", "task": "jobs.work", "id": "1", "root_id": "1", "parent_id": None, "group": None}


def odd_messages() -> Iterator[tuple[bytes | str, dict[str, Any], dict[str, Any]]]:
    """Bodies, headers and properties that a worker may find in its queue."""
    good = json.dumps([[], {}, {"callbacks": None}])
    yield pickle.dumps(([], {}, {})), HEADERS, {"content_type": "application/x-python-serialize"}
    yield good, HEADERS, {"content_type": "application/x-yaml"}
    yield good, HEADERS | {"task": "os.system"}, {}
    yield good, HEADERS | {"task": ["jobs.work"]}, {}
    yield good, HEADERS | {"task": {"a": 1}}, {}
    yield good, HEADERS | {"task": None}, {}
    yield good, HEADERS | {"task": 7}, {}
    yield good, HEADERS | {"id": {"a": []}}, {}
    yield good, HEADERS | {"eta": "never"}, {}
    yield good, HEADERS | {"expires": "long ago"}, {}
    yield good, HEADERS | {"timelimit": ["a", "b"]}, {}
    yield good, HEADERS | {"retries": "x"}, {}
    yield good, {}, {}
    yield json.dumps({"task": ["a"], "id": 1}), {}, {}
    yield json.dumps([1, 2, 3]), HEADERS, {}
    yield json.dumps([["a", "b", "c"], {"d": 1}, {}]), HEADERS, {}
    yield json.dumps([[{"a": 1}], {}, {}]), HEADERS | {"task": "jobs.load_file"}, {}
    yield json.dumps([["1; DROP TABLE"], {}, {}]), HEADERS | {"task": "jobs.load_file"}, {}
    yield json.dumps([[10**30], {}, {}]), HEADERS | {"task": "jobs.load_file"}, {}
    yield "[" * 100_000, HEADERS, {}
    yield "null", HEADERS, {}
    yield b"\xff\xfe", HEADERS, {"content_encoding": "utf-8"}
    yield good, HEADERS, {"content_encoding": "no-such"}
    yield good, HEADERS, {"content_type": None}


def broker(system: Target) -> Connection:
    """A connection to the system's own broker."""
    path = system.shell("from django.conf import settings", "print(settings.CELERY_BROKER_URL)").splitlines()[-1]
    return Connection(path)


def test_it_survives_odd_messages(attack: Attack) -> None:
    """Messages of an odd type in the queues of workers and readers."""
    system = attack.target
    before = {process.pid for process in system.processes("batchweb.worker")}
    with closing(broker(system)) as connection, attack:
        producer = connection.Producer()
        for queue in ("work", "load"):
            for body, headers, properties in odd_messages():
                sent = {"content_type": "application/json", "content_encoding": "utf-8"} | properties
                body = body.encode() if isinstance(body, str) else body
                producer.publish(body, routing_key=queue, exchange="", headers=headers, serializer=None, **sent)
                attack.row.requests += 1
        attack.others_pass()
    dead = [line for line in system.lines if "starts again in" in line and ("worker" in line or "loader" in line)]
    assert not dead, dead
    survivors = {process.pid for process in system.processes("batchweb.worker")}
    assert len(before & survivors) >= len(before) - 1, "workers were replaced one after the other"


def test_it_survives_what_is_no_message(attack: Attack) -> None:
    """Bytes in the queues that are no messages at all."""
    system = attack.target
    odd: list[str] = ["", "null", "[]", "7", '"x"', "{}", '{"body": 1}', '{"body": "a", "headers": []}', "[" * 50_000,
                      json.dumps({"body": base64.b64encode(b"[]").decode(), "properties": None}),
                      json.dumps({"body": "e30=", "headers": {}, "properties": {"delivery_tag": {}}})]  # fmt: skip
    with closing(broker(system)) as connection, attack:
        channel: Any = connection.channel()
        client = channel.client
        for queue in ("work", "load"):
            for text in odd:
                client.lpush(queue, text)
                attack.row.requests += 1
        attack.others_pass()
    dead = [line for line in system.lines if "starts again in" in line and ("worker" in line or "loader" in line)]
    assert not dead, dead


# Quotas


def test_it_counts_what_a_small_file_becomes(alone: ExitStack, tmp_path: Path) -> None:
    """Jobs that wait, of gzip that becomes thousands of times its size in the database, under a quota of 5 MB."""
    system = alone.enter_context(target(tmp_path, JOBS_MAX_STORED_MB="5", WEB_PROCESSES="1"))
    empty, codes = system.stored_bytes(), []
    for at in range(8):
        answer = system.made("mallory", inputs.packed(f"{at}\n", 100_000), "a.txt.gz", then="check")
        if not (code := code_of(answer)):
            break
        codes.append(code)
        until(lambda: system.state("mallory", codes[-1]) != "loading", 120, "the file was read")
        print(
            f"job {at}: {system.state('mallory', code)}, the database grew by {system.stored_bytes() - empty:,} bytes"
        )
    refused = len(codes) < 8 or any(system.state("mallory", code) == "invalid" for code in codes)
    assert refused, (
        f"8 jobs of 100,000 rows fit into 5 MB; the database grew by {system.stored_bytes() - empty:,} bytes"
    )
    assert small_job(system), "others have their own quota"


def test_it_reserves_the_quota_while_files_are_sent(alone: ExitStack, tmp_path: Path) -> None:
    """Ten files of 3 MB that come slowly and at once, under a quota of 5 MB."""
    system = alone.enter_context(target(tmp_path, JOBS_MAX_STORED_MB="5", WEB_PROCESSES="1"))
    data = b"a\n" * (3 * MB // 2)
    with_it = Attack(system, "Ten files at once under a quota for one", ("/healthz", "/"))
    system.usual = small_job(system)
    with with_it:
        sent = partial(system.post, system.as_("mallory"), "/jobs/uploads/", {}, {"file": ("a.txt", data)})
        answers = with_it.together([sent] * 10, 10)
        kept = sum(answer.status_code == 201 for answer in answers)
        with_it.check(kept <= 1, f"{kept} files of 3 MB were kept under a quota of 5 MB")
        for answer in answers:
            with_it.told(answer)
        with_it.check(with_it.watch.highest < 12 * MB, f"{with_it.watch.highest:,} bytes were stored meanwhile")


@pytest.mark.fast
def test_it_gives_nobody_what_they_did_not_accept(prey: Target) -> None:
    """A job that is given away counts for whoever has it only once they took it."""
    code = prey.job("mallory", csv_of(3))
    prey.ended(prey.as_("mallory"), code)
    prey.post(prey.as_("mallory"), f"/jobs/{code}/give/", {"person": "eve"})
    owner = prey.shell("from jobs.models import Job", f"print(Job.objects.get(code='{code}').owner)").splitlines()[-1]
    assert owner == "mallory", f"The job belongs to {owner}, who was never asked."
    assert prey.as_("bea").get(f"/jobs/{code}/").status_code == 404
