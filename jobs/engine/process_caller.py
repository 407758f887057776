"""Child processes that can be killed: one for each worker, served by the worker's thread.

A prefork worker of Celery is daemonic and multiprocessing refuses children to it, so these are plain subprocesses. The
thread only waits for its child, so all cores are in use; a child that hangs or dies takes one item with it and is
replaced.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.engine import context, failures, wire
from jobs.engine.context import Ticket
from jobs.engine.redaction import redactor_of
from jobs.engine.threads import Worker
from jobs.engine.types import WORKER_DIED

# How long a child may take to import what it needs.
STARTUP = 60.0
# How long a child that was told to end may take before it is killed.
GRACE = 0.5
# How often to look whether a silent child is still there: a program that it started may hold its pipe open.
LOOK_MS = 1000
ROOT = str(Path(__file__).resolve().parents[2])


class Died(Exception):
    """A child process is gone."""

    failure_kind = WORKER_DIED


class Child:
    """One process and its two pipes."""

    def __init__(self, setup: dict[str, Any]) -> None:
        request_end, requests = os.pipe()
        answers, answer_end = os.pipe()
        self._requests = open(requests, "wb")  # noqa: SIM115
        self._answers = open(answers, "rb")  # noqa: SIM115
        try:
            self._process = _spawn(request_end, answer_end)
        except BaseException:
            self._requests.close()
            self._answers.close()
            raise
        finally:
            os.close(request_end)
            os.close(answer_end)
        self._news = select.poll()
        self._news.register(answers, select.POLLIN)
        self._exchange(setup, STARTUP)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, position: int, number: int, payload: bytes) -> tuple[Any, ...]:
        """Have one attempt made; Died when the process ends instead of answering."""
        return self._exchange((position, number, payload), None)

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            if self.alive:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end, or kill it, and give everything back."""
        with suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._answers.close()

    def _exchange(self, message: Any, seconds: float | None) -> tuple[Any, ...]:
        try:
            wire.send(self._requests, message)
            self._listen(seconds)
            answer: tuple[Any, ...] = wire.receive(self._answers)
        except (EOFError, OSError):
            raise Died(self._how_it_ended()) from None
        return answer

    def _listen(self, seconds: float | None) -> None:
        looks = 0
        while not self._news.poll(LOOK_MS):
            looks += 1
            if not self.alive and not self._news.poll(0):
                raise EOFError
            if seconds is not None and looks * LOOK_MS >= seconds * 1000:
                self.kill()
                raise Died(f"The worker process did not get ready within {seconds:g} seconds.")

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            return "The worker process closed its pipes."
        if status >= 0:
            return f"The worker process ended with exit status {status}."
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        return f"The worker process was killed by signal {-status} ({name})."


def _spawn(requests: int, answers: int) -> subprocess.Popen[bytes]:
    paths = [ROOT, os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.engine.process_child", str(requests), str(answers)],
        pass_fds=(requests, answers),
        stdin=subprocess.DEVNULL,
        stdout=_errors(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        # Ctrl-C is the parent's affair, and a hung child is killed with all that it started.
        start_new_session=True,
    )


def _errors() -> int:
    """Where prints of the user's code go: to the error output, for the output belongs to the command that runs."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2


class InChild:
    """Calls the user's function in the worker's own child process."""

    def __init__(self, process: Callable[[Any], Any]) -> None:
        try:
            pickled = pickle.dumps(process, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise TypeError(f"For processes the function must be importable from a module: {error}") from error
        self._process = process
        self._setup = {
            "path": list(sys.path),
            "pythonpath": os.environ.get("PYTHONPATH"),
            "main": _main() if b"__main__" in pickled else None,
            "levels": context.levels(),
            "process": pickled,
        }

    def prepare(self, worker: Worker) -> None:
        """Give the worker a child that is ready, so that starting one is not counted as the item's time."""
        if worker.tool is not None and worker.tool.alive:
            return
        self.release(worker)
        # A failure to start is told by `call`, to which it belongs.
        with suppress(Exception):
            worker.tool = Child(self._setup)

    def call(self, worker: Worker, ticket: Ticket) -> Any:
        """The value that the child answers; a failure, and the manner of its death, is noted on the ticket.

        Raises Died.
        """
        try:
            if worker.tool is None:
                raise Died("The worker process could not be started.")
            payload = pickle.dumps(ticket.value, pickle.HIGHEST_PROTOCOL)
            kind, answer, ticket.log = worker.tool.ask(ticket.position, ticket.number, payload)
            if kind == "value":
                return pickle.loads(answer)  # noqa: S301
            ticket.failure = answer
        except BaseException as error:
            ticket.failure = failures.describe(error, redactor_of(self._process))
        return None

    def reclaim(self, worker: Worker) -> bool:
        """Kill the child; its thread sees that and is free again."""
        if worker.tool is not None:
            worker.tool.kill()
        return True

    def release(self, worker: Worker) -> None:
        """End the worker's child."""
        child, worker.tool = worker.tool, None
        if child is not None:
            child.close()


def _main() -> tuple[str, str]:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return ("name", spec.name)
    path = getattr(main, "__file__", None)
    if path is None or not os.path.exists(path):
        raise TypeError("For processes the function must be importable: put it into a module or a script file.")
    return ("path", os.path.abspath(path))
