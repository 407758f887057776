"""What a machine may refuse, and where the environment is set up for something else: sentences, no traces."""

from __future__ import annotations

import errno
import io
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from sesame.utils import get_query_string

from batchweb import machine
from batchweb.log import Log
from batchweb.supervisor import OUT_OF_MEMORY, Supervisor
from tests.platform.test_supervisor import wait
from tests.services import ROOT


def checked(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` in that environment."""
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path), **variables},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("level", ["warn", "WARNING", "debug", ""])
def test_it_takes_a_log_level_as_people_write_it(tmp_path: Path, level: str) -> None:
    assert checked(tmp_path, LOG_LEVEL=level).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not “LOUD”.\n"),
        ("TZ", "CET-1CEST", "TZ must be the name of a time zone, as UTC or Europe/Berlin, not “CET-1CEST”.\n"),
        ("TZ", "Europe", "TZ must be the name of a time zone, as UTC or Europe/Berlin, not “Europe”.\n"),
    ],
)
def test_it_names_what_it_does_not_know(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    done = checked(tmp_path, **{name: value})
    assert (done.returncode, done.stderr) == (1, sentence)


@pytest.mark.parametrize("zone", [":UTC", "Europe/Berlin"])
def test_it_takes_the_name_of_a_time_zone(tmp_path: Path, zone: str) -> None:
    assert checked(tmp_path, TZ=zone).returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"DJANGO_SETTINGS_MODULE": "mysite.settings"},
        {"PYTHONSAFEPATH": "1"},
        {"PYTHONPATH": "."},
        {"PYTHONWARNINGS": "error"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_it_runs_in_the_environment_of_something_else(tmp_path: Path, variables: dict[str, str]) -> None:
    done = checked(tmp_path, **variables)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_says_a_sentence_in_an_encoding_that_lacks_its_quotes(tmp_path: Path) -> None:
    done = checked(tmp_path, TZ="nowhere", PYTHONIOENCODING="ascii")
    assert done.stderr.endswith("not \\u201cnowhere\\u201d.\n")


def test_it_goes_on_with_the_log_where_a_line_cannot_be_encoded() -> None:
    written = io.BytesIO()
    log = Log(io.TextIOWrapper(written, encoding="ascii"))
    log.say("Größe")
    log.say("next")
    assert written.getvalue() == b"Gr\\xf6\\xdfe\nnext\n"


def test_it_names_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = checked(tmp_path / "file" / "data")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'file' / 'data'} is no folder. Set DATA_DIR to one.\n")


def test_it_says_that_the_disk_is_full() -> None:
    with pytest.raises(SystemExit, match="Make room, or set DATA_DIR"), machine.trouble_told():
        Path("/dev/full").write_text("one")


def test_it_says_that_the_disk_of_sqlite_is_full(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("PRAGMA max_page_count=2")
        connection.execute("CREATE TABLE a (b)")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("INSERT INTO a VALUES (zeroblob(20000))")
    connection.close()
    with pytest.raises(SystemExit, match="Make room, or set DATA_DIR"), machine.trouble_told():
        raise OperationalError(*full.value.args)


def test_it_names_the_owner_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, stranger = machine.name_of(os.geteuid()), 54321
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    told = machine.explained(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "secret_key")))
    assert told == (
        f"{tmp_path} belongs to {owner}, and user 54321 may not use it. Have it given to you, "
        f"sudo chown -R 54321 {tmp_path}, or set DATA_DIR."
    )


def test_it_gives_away_no_folder_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/opt/batchweb/data")
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    told = machine.explained(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "missing")))
    assert told.endswith("Set DATA_DIR to a folder that user 54321 may write to.")


def test_it_refuses_a_clock_for_which_no_link_can_be_made() -> None:
    with patch("time.time", lambda: machine.LATEST):
        assert machine.clock_trouble(time.time()) == ""
        assert get_query_string(get_user_model()(pk=1, username="admin"))
    told = machine.clock_trouble(datetime(2099, 1, 2, tzinfo=UTC).timestamp())
    assert told == "The clock of this machine says 2099-01-02, for which no sign-in link can be made. Set it right."


def test_it_lets_other_errors_pass() -> None:
    with pytest.raises(ConnectionRefusedError), machine.trouble_told():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def test_it_says_that_there_is_no_room_for_threads() -> None:
    code = (
        "import resource; from batchweb import machine\n"
        "resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20, 700 * 2**20))\n"
        "with machine.trouble_told(): machine.check_room(500)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("The system allows no more processes")


def test_it_says_that_memory_ran_out(tmp_path: Path) -> None:
    counter = tmp_path / "vmstat"
    counter.write_text("nr_free_pages 7\noom_kill 3\n")
    out = io.StringIO()
    supervisor = Supervisor(out=out, memory_kills=lambda: machine.memory_kills(counter))
    supervisor.tell_of_memory()
    assert out.getvalue() == ""
    counter.write_text("nr_free_pages 7\noom_kill 4\n")
    supervisor.tell_of_memory()
    supervisor.tell_of_memory()
    assert out.getvalue() == f"up      | {OUT_OF_MEMORY}\n"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_it_stops_when_make_alone_is_interrupted(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m tests.platform.driver {tmp_path} '[]'"
    (tmp_path / "Makefile").write_text(f"run:\n\t@cd {ROOT} && {command}\n")
    output = tmp_path / "output"
    with output.open("wb") as file:
        make = subprocess.Popen(["make"], cwd=tmp_path, stdout=file, stderr=file, start_new_session=True)
    try:
        wait(lambda: "all started" in output.read_text(), "the start", within=60)
        make.send_signal(signal.SIGINT)
        make.wait(60)
    finally:
        with_all(make.pid)
    assert "Traceback" not in output.read_text()


def with_all(group: int) -> None:
    """Ends what is left of the process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
