"""A worker that does one Celery task for each item, and the measuring of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batchweb.kernel import die_with_parent
from benchmarks.bench import PROCESSES
from benchmarks.contest import Contestant, Sample
from tests.services.valkey import valkey
from tests.system import ROOT

APP = "benchmarks.one_task_each"
# The same switches that the product's own workers have.
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")


@contextmanager
def in_redis(count: int) -> Iterator[Contestant]:
    """Results in the same Valkey that carries the tasks."""
    with valkey() as url:
        place = url.replace("unix://", "redis+socket://", 1)
        with worker({"PEER_BROKER": place, "PEER_RESULTS": place}) as environment:
            yield measured(count, environment)


@contextmanager
def in_database(count: int, folder: Path) -> Iterator[Contestant]:
    """Results by django-celery-results, in SQLite as the product sets it up."""
    settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.peer_settings", "PEER_DATABASE": str(folder / "peer.sqlite3")}
    python("-m", "django", "migrate", "-v", "0", environment=os.environ | settings)
    with valkey() as url:
        broker = url.replace("unix://", "redis+socket://", 1)
        with worker({"PEER_BROKER": broker, "PEER_RESULTS": "django-db", **settings}) as environment:
            yield measured(count, environment)


@contextmanager
def worker(settings: dict[str, str]) -> Iterator[dict[str, str]]:
    """Starts as many processes as a product has; yields the environment in which they run."""
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"} | settings
    command = [sys.executable, "-m", "celery", "-A", APP, "worker", "-P", "prefork", "-c", str(PROCESSES), *QUIET]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        python("-m", APP, "10", environment=environment)  # it comes back when the worker is there
        yield environment
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measured(count: int, environment: dict[str, str]) -> Contestant:
    return lambda: Sample(count, float(python("-m", APP, str(count), environment=environment)))


def python(*arguments: str, environment: dict[str, str]) -> str:
    """What a Python process with these arguments prints."""
    command: Sequence[str] = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return done.stdout
