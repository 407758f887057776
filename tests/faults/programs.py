"""The product's own processes, one by one: started, killed, frozen, counted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from batchweb.kernel import die_with_parent
from batchweb.process import Service
from tests.system import ROOT


class Program:
    """One of the product's processes with all that it starts."""

    def __init__(self, service: Service, env: Mapping[str, str], logs: Path) -> None:
        self.service = service
        self.name = service.name
        self.env = {**env, **service.env, "FAULT_ROLE": service.name}
        self.log = logs / f"{service.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.odd = False

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Starts it, with a few variables of its own where `env` names some."""
        self.odd = bool(env)
        if self.process:
            self.process.wait(10)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.service.argv, cwd=ROOT, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, preexec_fn=die_with_parent, pass_fds=self.service.pass_fds,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def family(self) -> list[psutil.Process]:
        """The process and its descendants, the process first."""
        if not self.running:
            return []
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """As when a machine loses its power: nobody is left who could tell."""
        family = self.family()
        send(family, signal.SIGSTOP)
        send([*family, *self.family()], signal.SIGKILL)
        if self.process:
            self.process.wait()

    def terminate(self, within: float = 30.0) -> float:
        """Asks it to stop, as a deploy does; returns how many seconds that took."""
        begun = time.monotonic()
        if self.process and self.running:
            self.process.terminate()
            self.process.wait(within)
        return time.monotonic() - begun

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def send(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, number)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
