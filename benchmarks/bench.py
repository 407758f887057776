"""What all tables share: how large, how often, and the products, servers and files that they measure with."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg

from batchweb.kernel import die_with_parent
from benchmarks.product import Product, product
from tests.services.postgres import postgres
from tests.system import ROOT, free_port, until

Database = Literal["SQLite", "PostgreSQL"]
DATABASES: tuple[Database, ...] = ("SQLite", "PostgreSQL")
LATENCY = 0.3
NOTHING_ELSE: Mapping[str, str] = MappingProxyType({})
PROCESSES = 4  # as many worker processes as a product has unless told otherwise
SHARED: tuple[tuple[Database, int], ...] = (("SQLite", PROCESSES), ("PostgreSQL", PROCESSES), ("SQLite", 1))


class Bench:
    """With `quick` everything is small, measured once, and the tables share their products to start fewer."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def rounds(self, full: int = 5) -> int:
        return 1 if self.quick else full

    @cached_property
    def folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bw-bench-")))

    def csv(self, rows: int) -> Path:
        """A file of `rows` rows with one column, `name`, that has something in each."""
        path = self.folder / f"{rows}.csv"
        if not path.exists():
            path.write_text("name\n" + "".join(f"item {number}\n" for number in range(rows)))
        return path

    @contextmanager
    def product(
        self,
        database: Database = "SQLite",
        processes: int = PROCESSES,
        environment: Mapping[str, str] = NOTHING_ELSE,
    ) -> Iterator[Product]:
        """A fresh product, or a shared one where it is to be quick and wants nothing special."""
        if self.quick and not environment:
            yield self._shared[database, processes]
        else:
            with self._fresh(database, processes, environment) as found:
                yield found

    @cached_property
    def _shared(self) -> dict[tuple[Database, int], Product]:
        """All products that the small tables use. Starting takes longest, so they start and stop side by side."""
        orders = [self._fresh(*key) for key in SHARED]
        pool = self._stack.enter_context(ThreadPoolExecutor(len(orders)))
        stacks = [ExitStack() for _ in orders]
        self._stack.callback(lambda: list(pool.map(ExitStack.close, stacks)))
        found = pool.map(lambda stack, order: stack.enter_context(order), stacks, orders)
        return dict(zip(SHARED, found, strict=True))

    def _fresh(
        self, database: Database, processes: int, more: Mapping[str, str] = NOTHING_ELSE
    ) -> AbstractContextManager[Product]:
        environment = {
            "JOBS_PROCESSORS": "benchmarks.processors",
            "WORKER_PROCESSES": str(processes),
            "LLM_BASE_URL": self.chat_server,
            "LLM_API_KEY": "a-key",
            "LLM_MODEL": "a-model",
            **more,
        }
        return product(self.new_database() if database == "PostgreSQL" else "", environment)

    @cached_property
    def postgres(self) -> str:
        """The URL of a PostgreSQL that keeps what it is told: as in production, and unlike in the tests."""
        return self._stack.enter_context(postgres(("max_connections=200",)))

    def new_database(self) -> str:
        name = f"bench_{uuid4().hex[:12]}"
        with psycopg.connect(self.postgres, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        return urlsplit(self.postgres)._replace(path=f"/{name}").geturl()

    @cached_property
    def chat_server(self) -> str:
        """The base URL of a chat endpoint that answers after LATENCY seconds, in a process of its own."""
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.chat_server", str(port), str(LATENCY)]
        process = subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/answered"), 30, "the chat server answers")
        return url


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
