from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.platform.test_supervisor import wait
from tests.services import ROOT
from tests.services.postgres import free_port

pytestmark = pytest.mark.flow
OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "PORT", "PRODUCTION", "ALLOWED_HOSTS")
PARTS = {"valkey": "valkey", "worker": "worker@", "loader": "loader@", "keeper": "keep", "web": "batchweb.server"}


def environment(folder: Path) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in OURS} | {"DATA_DIR": str(folder)}


def manage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=60)


def users_of(folder: Path) -> list[psutil.Process]:
    """The living processes that name the folder in their environment or arguments."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and names(process, str(folder))]


def names(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("DATA_DIR") == folder or any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


def arguments(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class Up:
    """A running `manage.py up`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, output: Path) -> None:
        self.process = process
        self.folder = folder
        self.output = output

    def text(self) -> str:
        return self.output.read_text()

    def until(self, words: str, within: float = 40.0) -> None:
        wait(lambda: words in self.text() or self.process.poll() is not None, f"{words!r} in {self.text()!r}", within)
        assert words in self.text(), self.text()

    def link(self) -> str:
        return next(line for line in self.text().splitlines() if line.startswith("Sign in: ")).removeprefix("Sign in: ")

    def part(self, name: str) -> psutil.Process:
        """The process of one part: the direct child of `up` whose arguments tell. Raises IndexError without one."""
        return self.parts(name)[0]

    def parts(self, name: str) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if any(PARTS[name] in word for word in arguments(child))]


@contextmanager
def started(folder: Path, port: int) -> Iterator[Up]:
    output = folder.parent / f"output-{time.monotonic_ns()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=ROOT, env=environment(folder), stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    run = Up(process, folder, output)
    try:
        run.until("Sign in: ")
        yield run
    finally:
        process.kill()
        process.wait()
        wait(lambda: not users_of(folder), "the end of everything", within=10)


def get(url: str, cookie: str = "") -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Cookie": cookie})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Up]:
    """One system for the tests that leave it as it was. Its folder is deep and has a space in its name."""
    with started(tmp_path_factory.mktemp("data here") / ("deep" * 20), port) as run:
        yield run


def test_it_signs_in_by_the_link_once(up: Up) -> None:
    first, second = get(up.link()), get(up.link())
    assert (first.status, first.headers["Location"]) == (302, "/")
    assert any(cookie.startswith("batchweb_session=") for cookie in first.headers.get_all("Set-Cookie", []))
    assert (second.status, second.headers["Location"]) == (302, "/accounts/login/")


def test_it_tells_commands_where_it_is(up: Up, port: int) -> None:
    assert (up.folder / "address").read_text() == f"http://127.0.0.1:{port}\n"


def test_it_makes_an_admin_without_a_password(up: Up) -> None:
    code = "from django.contrib.auth.models import User; u = User.objects.get(); print(u, u.has_usable_password())"
    assert "admin False" in manage(up.folder, "shell", "-c", code).stdout


def test_it_runs_all_parts(up: Up) -> None:
    assert all(up.part(name).is_running() for name in PARTS)


def test_it_writes_no_secret(up: Up) -> None:
    get(up.link())
    secret = (up.folder / "secret_key").read_text()
    token = up.link().split("sesame=")[1]
    assert secret not in up.text()
    assert up.text().count(token) == 1


def test_it_refuses_a_second_start_in_the_same_folder(up: Up) -> None:
    done = manage(up.folder, "up", "--port", str(free_port()))
    assert done.returncode == 1
    assert done.stderr == (
        f"CommandError: batchweb already runs with the data in {up.folder}. Stop it first, or set DATA_DIR.\n"
    )


def test_it_refuses_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = manage(tmp_path / "data", "up", "--port", str(taken))
    assert done.returncode == 1
    assert done.stderr == (
        f"CommandError: batchweb cannot listen on 127.0.0.1 port {taken} (Address already in use). "
        "Try another one: PORT=8001 make run\n"
    )
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["worker", "web", "valkey"])
def test_it_restarts_a_part_that_is_killed(up: Up, name: str) -> None:
    old = up.part(name)
    old.kill()
    up.until(f"{name} was ended by SIGKILL; it starts again in 1 s")
    wait(lambda: any(one != old for one in up.parts(name)), f"a new {name}")
    assert up.part(name).pid != old.pid
    assert up.part(name) in users_of(up.folder)
    wait(lambda: get(up.link()).status == 302, "the page")


def test_it_starts_without_the_broker_data_when_they_are_unreadable(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "valkey" / "appendonlydir").mkdir(parents=True)
    (folder / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("written by something else\n")
    with started(folder, free_port()) as run:
        assert "No job is lost." in run.text()
        assert get(run.link()).status == 302


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_within_ten_seconds_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path / "data", free_port()) as run:
        run.process.send_signal(number)
        assert run.process.wait(10) == 0
        assert users_of(run.folder) == []
        assert not (run.folder / "address").exists()


def test_it_leaves_nothing_when_it_is_killed_and_starts_again_at_once(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path / "data", port) as run:
        run.process.kill()
        run.process.wait()
        wait(lambda: not users_of(run.folder), "the end of everything", within=5)
    with started(tmp_path / "data", port) as again:
        again.process.kill()
        again.process.wait()
        with started(tmp_path / "data", port) as third:  # while the guardian of the second still tidies up
            assert get(third.link()).status == 302
