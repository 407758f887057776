"""The system that is attacked: in production mode, with two web servers and a folder for temporary files of its own."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import httpx
import psutil
import psycopg

from tests.system import ROOT, System, csv_of, database, free_port

PASSWORD: Final = "tea-and-biscuits"  # of everybody but the first administrator
PEOPLE: Final = ("mallory", "bea", "eve", "nora", "staffan")
HERE: Final = "127.0.0.1"
# The bystander sits elsewhere: limits on an address must not hide what a person can do to others.
ELSEWHERE: Final = "127.0.0.2" if sys.platform == "linux" else HERE
PATIENCE: Final = 60.0  # seconds for an answer to whoever attacks; none by then is one that never comes


@cache
def static_files() -> str:
    """The folder of collected static files, which production serves; made once for all systems of a run."""
    folder = tempfile.mkdtemp(prefix="bw-static-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    env = {**os.environ, "PRODUCTION": "1", "SECRET_KEY": secrets.token_urlsafe(50), "ALLOWED_HOSTS": "localhost"}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=ROOT, env=env | {"STATIC_ROOT": folder}, check=True, capture_output=True)
    return folder


def production(folder: Path) -> dict[str, str]:
    """The environment of a system that others rely on, but for HTTPS, which a proxy would bring."""
    (temporary := folder / "tmp").mkdir(parents=True, exist_ok=True)
    return {
        "PRODUCTION": "1", "HTTPS": "0", "SECRET_KEY": secrets.token_urlsafe(50), "ALLOWED_HOSTS": "127.0.0.1",
        "WEB_PROCESSES": "2", "STATIC_ROOT": static_files(), "TMPDIR": str(temporary),
        "JOBS_PROCESSORS": "tests.attacks.courier",
    }  # fmt: skip


class Target(System):
    """A running system with some people in it: an attacker, a bystander, one more, and staff without a right."""

    def __init__(self, folder: Path, port: int, url: str = "", more: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, port, url)
        # The tests' own leave to mix threads and loops is none that a system in production has.
        self.env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
        self.env |= production(folder) | dict(more or {})
        self.temporary = Path(self.env["TMPDIR"])
        self.clients_of: dict[str, httpx.Client] = {}
        self.signing_in = Lock()
        self.address = HERE
        self.bystanders_job = ""
        self.usual = 0.0  # seconds that a small job takes while nothing else happens

    def start(self) -> None:
        super().start()
        self.shell(
            "from django.contrib.auth.models import User",
            f"for name in {PEOPLE!r}: User.objects.create_user(name, name + '@example.org', {PASSWORD!r})",
            "User.objects.filter(username='staffan').update(is_staff=True)",
        )

    def shell(self, *lines: str) -> str:
        """What these lines of Python print inside of the product."""
        made = self.manage("shell", "-v0", "-c", "\n".join(lines))
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def as_(self, name: str) -> httpx.Client:
        """The client of this person, signed in once and then kept."""
        with self.signing_in:
            if name not in self.clients_of:
                self.clients_of[name] = client = self.client(name)
                client.get("/jobs/new/")
            return self.clients_of[name]

    def client(self, name: str = "", password: str = PASSWORD) -> httpx.Client:
        self.address = ELSEWHERE if name == "bea" else HERE
        try:
            return super().client(name, password)
        finally:
            self.address = HERE

    def stranger(self) -> httpx.Client:
        way = httpx.HTTPTransport(local_address=self.address)
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=PATIENCE, transport=way)
        self.clients.append(client)
        return client

    def webs(self) -> list[psutil.Process]:
        """The web servers."""
        found = self.processes("batchweb.server") or self.processes("uvicorn")
        assert found, "no web server runs"
        return found

    def tree(self) -> list[psutil.Process]:
        """All processes of the system."""
        with suppress(psutil.Error):
            up = psutil.Process(self.process.pid)
            return [up, *up.children(recursive=True)]
        return []

    def made(
        self, who: str, data: bytes, file: str = "rows.csv", processor: str = "simulate", **fields: object
    ) -> httpx.Response:
        """The answer to a new job."""
        sent = {"processor": processor, "workers": "5", "attempts": "1", "timeout": "60"}
        sent |= {key: str(value) for key, value in fields.items()}
        return self.post(self.as_(who), "/jobs/new/", sent, {"file": (file, data, "application/octet-stream")})

    def job(self, who: str, text: str = "", file: str = "rows.csv", **fields: Any) -> str:
        """The code of a new job of this person."""
        answer = self.made(who, (text or csv_of(5)).encode(), file, **fields)
        assert answer.status_code == 200, answer.text[:500]
        return str(answer.json()["url"].split("/")[2])

    def state(self, name: str, code: str) -> str:
        """In which state this person sees the job."""
        return str(self.snapshot(self.as_(name), code)["state"])

    def stored_bytes(self) -> int:
        """What the database takes on the disk."""
        if url := self.env.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return int(connection.execute("SELECT pg_database_size(current_database())").fetchone()[0])  # type: ignore[index]
        return sum(path.stat().st_size for path in (self.folder / "var").glob("db.sqlite3*"))

    def everything_stored(self) -> Iterator[tuple[str, bytes]]:
        """All that lies in the data folder and in the database, each with the name of its place."""
        for path in sorted((self.folder / "var").rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        if url := self.env.get("DATABASE_URL"):
            yield from rows_of(url)


def rows_of(url: str) -> Iterator[tuple[str, bytes]]:
    """The rows of each table of PostgreSQL as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = connection.execute(f'SELECT t::text FROM "{table}" t'.encode()).fetchall()
            yield f"table {table}", "\n".join(str(row[0]) for row in rows).encode()


@contextmanager
def target(folder: Path, **more: str) -> Iterator[Target]:
    """A started system; `more` are settings. It is killed in the end."""
    with database() as url:
        system = Target(folder, free_port(), url, more)
        try:
            system.start()
            yield system
        finally:
            system.kill()


def code_of(answer: httpx.Response) -> str:
    """The code of the job that an answer leads to; nothing where it leads to none."""
    told = answer.headers.get("Location", "")
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        told += str(answer.json().get("url", ""))
    found = re.match(r"/jobs/(\w{12})/$", told)
    return found[1] if found else ""
