"""A Valkey and a PostgreSQL that can be killed, frozen and started again where they were."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

from batchweb import valkey
from batchweb.kernel import die_with_parent
from tests.services.postgres import FAST, as_nobody, binaries, free_port, initdb
from tests.system import until

# A commit that was answered must outlive the server: nothing may wait in its memory.
SAFE = [*(value for value in FAST if not value.startswith("synchronous_commit")), "synchronous_commit=on"]


class Server:
    """One process and when it answered last after a start, by the monotonic clock."""

    process: subprocess.Popen[bytes]
    returned = 0.0
    returned_at = 0.0  # the same by the wall clock

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(
            self.command(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=die_with_parent, **self.options(),
        )  # fmt: skip
        until(self.answers, 60, f"{type(self).__name__} answers")
        self.note_return()

    def note_return(self) -> None:
        self.returned, self.returned_at = time.monotonic(), time.time()

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside the block it runs and does not answer."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
            until(self.answers, 60, f"{type(self).__name__} answers again")
            self.note_return()


class Valkey(Server):
    """The broker and the layer of wake-ups."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "valkey"
        self.path = folder / "valkey.sock"
        self.url = f"unix://{self.path}"

    def command(self) -> list[str]:
        return valkey.command(self.path, self.data)

    def answers(self) -> bool:
        return valkey.answers(self.path)

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.path), socket_timeout=5)

    def forget(self) -> None:
        """Takes away what it would find at its next start."""
        shutil.rmtree(self.data)


class Postgres(Server):
    """The database."""

    def __init__(self, folder: Path) -> None:
        self.owner = as_nobody()
        self.data = folder / "postgres"
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        (folder / "copy" / "package").mkdir(parents=True)
        self.binaries = binaries(folder / "copy" / "package")
        self.data.mkdir(mode=0o700)
        if self.owner:
            os.chown(self.data, self.owner["user"], self.owner["group"])
        initdb(self.binaries, self.data, self.owner)

    def command(self) -> list[str]:
        settings = [part for value in SAFE for part in ("-c", value)]
        program = [str(self.binaries / "postgres"), "-D", str(self.data)]
        return [*program, "-h", "127.0.0.1", "-k", "", "-p", str(self.port), *settings]

    def options(self) -> dict[str, Any]:
        return self.owner

    def answers(self) -> bool:
        """Whether it takes connections: its port is open before it has recovered."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
