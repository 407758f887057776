"""The compose stack of a checkout under a project name of its own, and what a person does to it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.image.engine import Engine, shared
from tests.system import ROOT, System, free_port, until

OURS: Final = ("web", "worker", "loader", "keeper", "migrate")
BUILDER: Final = "migrate"
KILL: Final = "import os; [os.kill(pid, 9) for pid in {pids}]"
STARTED: Final = 300.0  # seconds until all of it runs, at the most


def checked_out(name: str, revision: str = "") -> Path:
    """A copy of the checkout as it is, or as it was in a revision of git. Raises CalledProcessError."""
    shutil.rmtree(folder := shared() / name, ignore_errors=True)
    folder.mkdir()
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    if revision:
        packed = subprocess.run(("git", "archive", revision), cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(("tar", "-x", "-C", str(folder)), input=packed, check=True)
        return folder
    for path in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if path and (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    return folder


def environment(port: int) -> dict[str, str]:
    """What the README has people put into .env, for plain HTTP on this machine."""
    passwords = {name: secrets.token_hex(24) for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD")}
    small = {"WORKER_PROCESSES": "2", "LOADER_PROCESSES": "1"}
    address = {"PUBLIC_URL": f"http://127.0.0.1:{port}", "ALLOWED_HOSTS": "127.0.0.1,localhost", "PORT": str(port)}
    plain = address | {"HTTPS": "0", "BEHIND_PROXY": "0"}
    return {"SECRET_KEY": secrets.token_urlsafe(64)} | passwords | small | plain


class Stack(System):
    """All services of one checkout; those of another one take its place by `moved`."""

    def __init__(self, engine: Engine, checkout: Path, image: str, settings: dict[str, str]) -> None:
        super().__init__(checkout, int(settings["PORT"]))
        self.engine, self.image, self.settings = engine, image, settings
        self.project = f"batchweb-image-test-{os.getpid()}"
        (checkout / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        # A tag of its own, so that an image of the person who tests stays as it is.
        tags = {"services": {name: {"image": image} for name in OURS}}
        (checkout / "tags.json").write_text(json.dumps(tags))

    def moved(self, checkout: Path, image: str) -> Stack:
        """The stack of another checkout with the same project, data and settings."""
        return Stack(self.engine, checkout, image, self.settings)

    def _compose(self, *arguments: str) -> tuple[str, ...]:
        files = [part for name in ("docker-compose.yml", "tags.json") for part in ("-f", str(self.folder / name))]
        return ("compose", "--project-directory", str(self.folder), "-p", self.project, *files, *arguments)

    def compose(self, *arguments: str, **more: Any) -> str:
        return self.engine.out(*self._compose(*arguments), **more)

    def build(self) -> None:
        proxies = [f"--build-arg={name}" for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ]
        self.compose("build", "-q", *proxies, BUILDER, timeout=1800)

    # Where System has processes, this has containers.

    def start(self) -> None:
        self.compose("up", "-d", "--no-build", timeout=STARTED)
        until(self.healthy, STARTED, "all services are healthy")

    def stop(self, number: int = 0, within: float = 120.0) -> int:
        self._leave()
        self.compose("stop", timeout=within)
        return 0

    def logs(self) -> str:
        """The state of each service and what it said last."""
        ends = self.engine.run(*self._compose("logs", "--no-color", "--tail", "25"))
        return "\n".join(f"{service}: {state}" for service, state in self.states().items()) + "\n" + ends.stdout

    def remove(self) -> None:
        """Takes away containers, volumes and networks."""
        self._leave()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def manage(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        command = self._compose("exec", "-T", "worker", "python", "manage.py", *arguments)
        return self.engine.run(*command, timeout=timeout)

    def inside(self, service: str, script: str, **more: Any) -> str:
        return self.compose("exec", "-T", service, "sh", "-c", script, **more)

    # What the engine knows of them.

    def services(self) -> list[str]:
        return self.compose("config", "--services").split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of the container of a service; nothing where there is none."""
        code = self.compose("ps", "-a", "-q", service).strip()
        return dict(json.loads(self.engine.out("inspect", code))[0]) if code else {}

    def state(self, service: str) -> str:
        """`healthy`, `running` where nothing asks for its health, `exited 0`, or what else it does."""
        if not (state := self.inspect(service).get("State")):
            return "missing"
        if state["Status"] != "running":
            return f"{state['Status']} {state['ExitCode']}"
        return str(state.get("Health", {}).get("Status") or "running")

    def states(self) -> dict[str, str]:
        return {service: self.state(service) for service in self.services()}

    def healthy(self) -> bool:
        states = self.states()
        return states.pop(BUILDER) == "exited 0" and set(states.values()) <= {"healthy", "running"}

    def crash(self, *services: str) -> None:
        """Kills their first processes, which the engine takes for an accident, unlike its own `kill`."""
        before = {service: self.inspect(service) for service in services}
        pids = [state["State"]["Pid"] for state in before.values()]
        strong = ("--pid=host", "--user=0", "--cap-drop=ALL", "--cap-add=KILL")
        self.engine.out("run", "--rm", *strong, "--entrypoint=python", self.image, "-c", KILL.format(pids=pids))
        for service, state in before.items():
            until(lambda: self.inspect(service)["RestartCount"] > state["RestartCount"], 120, f"{service} starts again")  # noqa: B023

    # What a person at a terminal does, with a file of this machine.

    def sent(self, text: str, *options: str) -> str:
        """The code of the job that `submit` makes of the text."""
        self.inside("worker", "cat > /tmp/rows.csv", input=text)
        made = self.manage("submit", "/tmp/rows.csv", "--processor", "simulate", *options)
        found = re.search(r"/jobs/(\w+)/", made.stdout)
        assert found, made.stdout + made.stderr
        return found[1]


def first(engine: Engine, checkout: Path, image: str) -> Stack:
    return Stack(engine, checkout, image, environment(free_port()))
