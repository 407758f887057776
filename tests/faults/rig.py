"""The system under test: every process by itself, to be killed one by one, and all that looks at it from outside."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from celery import Celery

from batchweb import healthcheck, web
from batchweb.kernel import die_with_parent
from jobs.management.commands import up
from tests.faults.programs import Program, send
from tests.faults.servers import Postgres, Valkey
from tests.faults.witness import Witness
from tests.system import ROOT, System, free_port, until

VIEWERS: Final = 5
SET_UP: Final = """
from django.core.management import call_command
call_command("migrate", verbosity=0, interactive=False)
"""
PASSWORD: Final = "tea-and-biscuits"
ADMIN: Final = f"""
from jobs.management.commands.up import first_admin
admin = first_admin()
admin.set_password("{PASSWORD}")
admin.save()
"""


class Watched(System):
    """A system with a ledger, switches for faults, and a view on its rows that needs none of the product's code."""

    admin: httpx.Client

    def __init__(self, folder: Path, database: str) -> None:
        super().__init__(folder, free_port(), database)
        self.witness = Witness(folder / "ledger")
        self.switches = folder / "faults"
        for made in (self.switches, self.data):
            made.mkdir(mode=0o700)
        self.env |= {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "JOBS_PROCESSORS": "tests.faults.ledger",
            "FAULTS_LEDGER": str(self.witness.path),
            "FAULTS": str(self.switches),
            "PYTHONWARNINGS": "ignore",
            "WORKER_PROCESSES": "2",
            "JOBS_MEMORY_MB": "1024",
        }
        self.database = database
        self.viewers: list[Viewer] = []

    @property
    def data(self) -> Path:
        return self.folder / "var"

    # Faults

    def arm(self, fault: str, how: str = "1") -> None:
        (self.switches / fault).write_text(how)

    def disarm(self, fault: str) -> None:
        (self.switches / fault).unlink(missing_ok=True)

    @contextmanager
    def fault(self, name: str, how: str = "1") -> Iterator[None]:
        self.arm(name, how)
        try:
            yield
        finally:
            self.disarm(name)

    # What is stored

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, asked of the database itself."""
        if self.database:
            with psycopg.connect(self.database, connect_timeout=5) as connection:
                return connection.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(self.data / "db.sqlite3", timeout=30)) as file:
            return file.execute(query).fetchall()

    def of_job(self, code: str, what: str, table: str = "item", rest: str = "") -> list[tuple[Any, ...]]:
        job = f"(SELECT id FROM jobs_job WHERE code = '{code}')"
        return self.rows(f"SELECT {what} FROM jobs_{table} WHERE job_id = {job} {rest}")

    def state(self, code: str) -> str:
        """The job's state; empty while the database does not answer."""
        with suppress(psycopg.Error, sqlite3.Error):
            return "".join(row[0] for row in self.rows(f"SELECT state FROM jobs_job WHERE code = '{code}'"))
        return ""

    def at_rest(self, code: str) -> str:
        """The state of a job that nobody holds any more; empty while somebody does."""
        state = self.state(code)
        if state in ("finished", "cancelled", "paused", "invalid"):
            return state if not self.of_job(code, "1", "shard", "AND token <> ''") else ""
        return ""

    # People

    def client(self, name: str = "admin", password: str = PASSWORD) -> httpx.Client:
        return super().client(name, password)

    def shell(self, text: str) -> None:
        made = self.manage("shell", "-c", text)
        assert made.returncode == 0, made.stderr

    def upload(self, client: httpx.Client, text: str, **fields: object) -> httpx.Response:
        """A job of this file, made on the page."""
        sent = {name: str(value) for name, value in fields.items()}
        data = {"processor": "ledger", "attempts": "1", "timeout": "", "workers": "60"} | sent
        return self.post(client, "/jobs/new/", data, {"file": ("rows.csv", text.encode(), "text/csv")})

    def follow(self, code: str) -> None:
        for viewer in self.viewers:
            viewer.order(f"follow {code}")

    def watch(self, client: httpx.Client, count: int = VIEWERS) -> None:
        """Starts the viewers."""
        self.viewers += [Viewer(self.url, client.cookies["batchweb_session"]) for _ in range(count)]

    def close_viewers(self) -> None:
        for viewer in self.viewers:
            viewer.close()
        self.viewers = []


class Viewer:
    """A process with pages in it."""

    def __init__(self, url: str, cookie: str, pages: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.viewer", url, cookie, str(pages)], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip

    def order(self, line: str) -> None:
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)

    def says(self) -> list[dict[str, Any]]:
        """What each of its pages holds now."""
        assert self.process.stdout
        self.order("say")
        said: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


def unseen(process: int) -> None:
    """Each worker is a machine of its own, and nobody sees a machine die."""


class Rig(Watched):
    """Valkey, a database, two workers of two processes, loader, keeper, web server and viewers, each by itself."""

    def __init__(self, folder: Path, postgres: bool = True) -> None:
        self.postgres = Postgres(folder) if postgres else None
        self.valkey = Valkey(folder)
        super().__init__(folder, self.postgres.url if self.postgres else "")
        self.env |= {"REDIS_URL": self.valkey.url}
        self.listener = up.listen("127.0.0.1", self.port)
        (logs := folder / "logs").mkdir()
        services = [
            up.worker("worker1", "work", 2, unseen),
            up.worker("worker2", "work", 2, unseen),
            up.worker("loader", "load", 1, unseen),
            up.keeper(),
            web.service(self.listener),
        ]
        self.programs = {service.name: Program(service, self.env, logs) for service in services}
        self.workers = [self.programs["worker1"], self.programs["worker2"]]
        self.web, self.keeper = self.programs["web"], self.programs["keeper"]

    def start(self) -> None:
        if self.postgres:
            self.postgres.start()
        self.valkey.start()
        self.shell(SET_UP + ADMIN)
        for program in self.programs.values():
            program.start()
        self.until_ready()
        self.admin = self.client()
        self.watch(self.admin)

    def until_ready(self) -> None:
        until(self.web_answers, 60, "the web server answers")
        for program in (*self.workers, self.programs["loader"]):
            until(partial(self.connected, program), 60, f"{program.name} is ready")

    def web_answers(self) -> bool:
        return healthcheck.well("127.0.0.1", self.port)

    def connected(self, worker: Program) -> bool:
        """Whether the worker's present process has said that it lives, which it does when it is ready."""
        return bool(self.rows(f"SELECT 1 FROM jobs_worker WHERE name LIKE '%:{worker.pid}'"))

    def restart(self, *programs: Program, env: Mapping[str, str] | None = None) -> None:
        """Starts them anew, with a few variables of their own."""
        for program in programs:
            program.terminate()
        for program in programs:
            program.start(env)
        self.until_ready()

    def wake(self, task: str, *args: object, times: int = 1) -> None:
        """Sends wake-ups that nobody has asked for."""
        with Celery(broker=self.valkey.url.replace("unix://", "redis+socket://")) as app:
            for _ in range(times):
                app.send_task(task, args=args, queue="load" if args else "work")

    def restore(self) -> None:
        """Everything runs again as it did at the start."""
        for fault in self.switches.iterdir():
            fault.unlink()
        for program in self.programs.values():
            if program.odd:
                program.kill()
            if not program.running:
                program.start()
        self.until_ready()

    def stop(self, number: int = 0, within: float = 0.0) -> int:
        for client in self.clients:
            client.close()
        self.close_viewers()
        for program in self.programs.values():
            send(program.family(), 9)
            program.kill()
        for server in filter(None, (self.valkey, self.postgres)):
            server.close()
        self.listener.close()
        return 0

    def log(self) -> str:
        """The end of what each process said."""
        return "\n".join(f"--- {program.name}\n{program.said()[-3000:]}" for program in self.programs.values())


class Whole(Watched):
    """The same under the product's own supervisor, which sees its children die."""

    def start(self) -> None:
        super().start()
        self.shell(ADMIN)
        self.admin = self.client()
        self.watch(self.admin)

    def stop(self, number: int = 15, within: float = 20.0) -> int:
        self.close_viewers()
        return super().stop(number, within)
