"""Uploads that cannot be stored, that break off, and whose web server dies over them."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.case import Case
from tests.faults.test_database import files_of
from tests.system import until

pytestmark = pytest.mark.faults
SOON = 10.0
STALE = 2 * 3600.0  # seconds; a file without a reference goes after one hour


def jobs_and_uploads(case: Case) -> list[tuple[object, ...]]:
    return case.system.rows("SELECT (SELECT COUNT(*) FROM jobs_job), (SELECT COUNT(*) FROM jobs_upload)")


@pytest.mark.fast
def test_it_keeps_nothing_of_a_file_that_finds_no_room(case: Case) -> None:
    """Disk full while uploading (injected)"""
    case.begin()
    case.moment()
    before, stored = jobs_and_uploads(case), files_of(case)
    with case.system.fault("full-disk"):
        answer = case.system.upload(case.system.client(), "name,fate\nlost,\n")
    case.check(answer.status_code >= 400, "the upload counts as done")
    case.check(answer.status_code == 507, f"the answer is {answer.status_code} and does not say that the disk is full")
    case.check(jobs_and_uploads(case) == before, "a job or an upload was made of it")
    case.check(files_of(case) == stored, "half of a file was left behind")
    case.expect()


@pytest.mark.fast
def test_it_keeps_nothing_of_a_file_that_breaks_off(case: Case) -> None:
    """Upload cut at half"""
    case.begin()
    case.moment()
    before, stored = jobs_and_uploads(case), files_of(case)
    half_upload(case)
    time.sleep(1)
    case.check(jobs_and_uploads(case) == before, "a job or an upload was made of it")
    case.check(files_of(case) == stored, "half of a file was left behind")
    case.expect()


def half_upload(case: Case) -> None:
    """Sends a form up to the middle of its file, and hangs up."""
    client = case.system.admin
    form = {"processor": "ledger", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    request = client.build_request(
        "POST", "/jobs/new/", data=form, files={"file": ("rows.csv", b"name,fate\n" + b"cut,\n" * 50_000, "text/csv")},
        headers={"Referer": case.system.url},
    )  # fmt: skip
    body = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", case.system.port)) as connection:
        connection.sendall(f"POST /jobs/new/ HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) // 2])
        time.sleep(0.3)


def dies_over(case: Case, fault: str) -> float:
    """Sends a file to a web server that dies over it, starts another one, and returns when that was."""
    web = case.system.web
    client = case.system.client()
    case.system.arm(fault, "web")
    with pytest.raises(httpx.HTTPError):
        case.system.upload(client, "name,fate\nfirst,\nsecond,\n", param_seconds=0.05)
    until(lambda: not web.running, 5)
    died = time.monotonic()
    web.start()
    until(case.system.web_answers, 30)
    return died


def test_it_sweeps_a_file_without_a_row(case: Case) -> None:
    """Web server killed between file and row"""
    case.begin()
    case.moment()
    stored = files_of(case)
    dies_over(case, "die-before-row")
    left = files_of(case) - stored
    case.check(len(left) == 1, f"{len(left)} files were left by the fault")
    for path in left:
        os.utime(path, (time.time() - STALE, time.time() - STALE))
    case.system.restart(case.system.keeper)
    try:
        until(lambda: not any(Path(path).exists() for path in left), SOON)
    except AssertionError:
        case.check(False, "a file that no row knows of stays for ever")
    case.check(all(Path(path).exists() for path in stored), "a file that is needed was swept away")
    case.expect()


@pytest.mark.fast
def test_it_begins_what_nobody_was_woken_for(case: Case) -> None:
    """Web server killed between commit and wake-up"""
    case.begin()
    case.moment()
    died = dies_over(case, "die-before-wakeup")
    ((code,),) = case.system.rows("SELECT code FROM jobs_job ORDER BY id DESC LIMIT 1")
    assert code != case.code, "the job was not stored"
    case.starts(code, SOON, died)
    case.expect()
