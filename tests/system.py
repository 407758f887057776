"""The whole product in processes of its own, as `make run` starts it: for tests that press, kill and count."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parent.parent
SOONEST = 0.05


def csv_of(rows: int, simulate: Callable[[int], str] = lambda position: "ok") -> str:
    """A file of `rows` rows for the simulate processor; `simulate` says what becomes of each."""
    return "name,simulate\n" + "".join(f"item {at},{simulate(at)}\n" for at in range(rows))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(answer: Callable[[], Any], within: float = 30.0, what: str = "") -> Any:
    """What `answer` gives once it is true; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (got := answer()):
        if time.monotonic() > deadline:
            raise AssertionError(f"It took more than {within:g} s until {what or answer}")
        time.sleep(SOONEST)
    return got


class System:
    """A running batchweb with its own data."""

    def __init__(self, folder: Path, port: int, database: str = "") -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        kept = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL", "DATA_DIR", "PORT")}
        self.env = kept | {"DATA_DIR": str(folder / "var"), "PYTHONUNBUFFERED": "1"}
        if database:
            self.env["DATABASE_URL"] = database
        self.lines: list[str] = []
        self.clients: list[httpx.Client] = []

    def start(self) -> None:
        begun = len(self.lines)
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(self.port)], cwd=ROOT, env=self.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        self.link = until(lambda: self._link(begun), 60, "the sign-in link is printed")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip("\n"))

    def _link(self, begun: int) -> str:
        if self.process.poll() is not None:
            raise AssertionError("up ended:\n" + "\n".join(self.lines[-30:]))
        return next((line.split(": ", 1)[1] for line in self.lines[begun:] if line.startswith("Sign in: ")), "")

    def stop(self, number: int = signal.SIGTERM, within: float = 15.0) -> int:
        self._leave()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within)

    def _leave(self) -> None:
        for client in self.clients:
            client.close()
        self.clients = []

    def kill(self) -> None:
        """Ends all of it at once, where how it stops is not the subject."""
        self._leave()
        if self.process.poll() is not None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait(15.0)
        psutil.wait_procs(children, 15.0)

    def log(self) -> str:
        return "\n".join(self.lines)

    # What a person at a terminal does

    def manage(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip

    def submit(self, file: Path, *options: str, processor: str = "simulate") -> str:
        """The code of the new job."""
        made = self.manage("submit", str(file), "--processor", processor, *options)
        found = re.search(r"/jobs/(\w+)/", made.stdout)
        assert found, made.stdout + made.stderr
        return found[1]

    def check(self, code: str = "") -> str:
        made = self.manage("check_invariants", *([code] if code else []))
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout

    def stored(self, code: str, out: Path) -> dict[str, dict[str, str]]:
        """Row → what is stored of it, for those that succeeded; written to `out` on the way."""
        made = self.manage("results", code, str(out))
        assert made.returncode == 0, made.stdout + made.stderr
        with out.open(newline="") as file:
            # Until it has ended, its results have a column for keys that nobody has seen yet.
            rows = [{name: value for name, value in row.items() if name != "result"} for row in csv.DictReader(file)]
            return {row["row"]: row for row in rows if row["state"] == "succeeded"}

    def person(self, name: str, password: str = "tea-and-biscuits") -> None:
        text = f"from django.contrib.auth.models import User; User.objects.create_user({name!r}, password={password!r})"
        made = self.manage("shell", "-c", text)
        assert made.returncode == 0, made.stderr

    # What a person in a browser does

    def client(self, name: str = "", password: str = "tea-and-biscuits") -> httpx.Client:
        """Signed in as `name`, or as the first administrator by the one-time link."""
        client = self.stranger()
        if not name:
            self.first_admin(client)
            return client
        client.get("/accounts/login/")
        answer = self.post(client, "/accounts/login/", {"username": name, "password": password})
        assert "batchweb_session" in client.cookies, answer.text[:500]
        return client

    def again(self, client: httpx.Client) -> httpx.Client:
        """Another client of the same person."""
        other = self.stranger()
        other.cookies.update(client.cookies)
        return other

    def stranger(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60)
        self.clients.append(client)
        return client

    def first_admin(self, client: httpx.Client) -> None:
        made = self.manage("shell", "-c", "from django.contrib.auth.models import User; import sesame.utils as s;"
                           "print(s.get_query_string(User.objects.filter(is_superuser=True).first()))")  # fmt: skip
        answer = client.get("/enter/" + made.stdout.strip().splitlines()[-1], follow_redirects=False)
        assert answer.headers["Location"] == "/", answer.text[:500]

    def post(self, client: httpx.Client, path: str, data: dict[str, Any], files: Any = None) -> httpx.Response:
        token = client.cookies.get("csrftoken") or client.get("/").cookies.get("csrftoken") or ""
        headers = {"Referer": self.url, "X-CSRFToken": token, "Accept": "application/json"}
        return client.post(path, data=data, files=files, headers=headers, follow_redirects=False)

    def snapshot(self, client: httpx.Client, code: str) -> dict[str, Any]:
        answer = client.get(f"/jobs/{code}/snapshot.json")
        assert answer.status_code == 200, answer.text[:300]
        return dict(answer.json())

    def ended(self, client: httpx.Client, code: str, within: float = 60.0) -> dict[str, Any]:
        """The last numbers of the job, once it has ended."""

        def last() -> dict[str, Any] | None:
            frame = self.snapshot(client, code)
            return (
                frame
                if frame["state"] in ("finished", "cancelled", "invalid") and not frame["counts"]["running"]
                else None
            )

        return dict(until(last, within, f"job {code} has ended"))

    def socket(self, client: httpx.Client, path: str) -> AbstractContextManager[ClientConnection]:
        cookie = f"batchweb_session={client.cookies['batchweb_session']}"
        url = self.url.replace("http", "ws", 1) + path
        headers = {"Cookie": cookie, "Origin": self.url}
        return connect(url, additional_headers=headers, compression=None, open_timeout=60)

    def processes(self, words: str) -> list[psutil.Process]:
        """The system's own processes whose command line holds `words`."""
        own = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in own if words in " ".join(command(process))]


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    """Lets them stand still for a while."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


class Page:
    """A page that follows the contract of frames: what it holds in the end must be what is stored."""

    def __init__(self, system: System, client: httpx.Client, code: str) -> None:
        self.system, self.client, self.code = system, client, code
        self.frame = system.snapshot(client, code)
        self.frames = 0

    def follow(self, within: float = 60.0) -> dict[str, Any]:
        """Reads the socket until the job has ended, and returns the last frame."""
        deadline = time.monotonic() + within
        with self.system.socket(self.client, f"/ws/jobs/{self.code}/") as viewer:
            viewer.send(json.dumps({"t": "hello", "after": self.frame["seq"]}))
            while self.frame["state"] not in ("finished", "cancelled") and time.monotonic() < deadline:
                self.take(viewer.recv(60.0))
        return self.frame

    def take(self, message: str | bytes) -> None:
        frame = {} if isinstance(message, bytes) else json.loads(message)
        if frame.get("t") == "stats" and frame["from"] == self.frame["seq"]:
            self.frames += 1
            self.frame = frame
        elif frame.get("t") in ("stats", "resync"):
            self.frame = self.system.snapshot(self.client, self.code)


@contextmanager
def running(folder: Path, port: int, **variables: str) -> Iterator[System]:
    """A started system, on a database of its own when the tests run on PostgreSQL; it is killed in the end."""
    with database() as url:
        system = System(folder, port, url)
        system.env |= variables
        system.start()
        try:
            yield system
        finally:
            system.kill()


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new PostgreSQL database, or nothing for SQLite."""
    server = os.environ.get("DATABASE_URL", "")
    if os.environ.get("TEST_DATABASE") != "postgres":
        yield ""
        return
    name = f"flow_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    parts = urllib.parse.urlsplit(server)
    try:
        yield parts._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
