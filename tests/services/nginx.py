"""An nginx for the tests: one on PATH, or Debian's package, unpacked without root and kept in the cache."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from batchweb.kernel import die_with_parent
from tests.services import ROOT, Missing, cache

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
WHOLE = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def documented() -> list[str]:
    """The blocks of docs/proxies.md for nginx."""
    text = (ROOT / "docs" / "proxies.md").read_text()
    return re.findall(r"^```nginx\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def binary() -> Path:
    """The program. Raises Missing."""
    if found := shutil.which("nginx", path=PLACES):
        return Path(found)
    kept = cache() / "nginx"
    with (cache() / "nginx.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once fetch it once
        if not kept.exists():
            fetch(kept)
    return kept


def fetch(kept: Path) -> None:
    """Asks for the newest list of packages first: the machine's own may be old, or not there at all."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as name:
        (Path(name) / "lists" / "partial").mkdir(parents=True)
        (Path(name) / "cache" / "archives" / "partial").mkdir(parents=True)
        folders = (f"Dir::State::Lists={name}/lists", f"Dir::Cache={name}/cache", "APT::Sandbox::User=root")
        own = [part for option in folders for part in ("-o", option)]
        for command in (
            ("apt-get", *own, "update"), ("apt-get", *own, "download", "nginx"),
            ("sh", "-c", "dpkg-deb -x nginx_*.deb ."),
        ):  # fmt: skip
            run(command, Path(name))
        if not (program := Path(name) / "usr" / "sbin" / "nginx").exists():
            raise Missing("Debian's package nginx holds no usr/sbin/nginx. Install nginx.")
        program.rename(kept)


def run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()[-300:]
        raise Missing(f"There is no nginx, and `{' '.join(command)}` did not bring it: {said}") from error


@contextmanager
def nginx(folder: Path, servers: str, port: int, within: float = 20.0) -> Iterator[None]:
    """Runs with these blocks, one of which listens on `port`. Raises Missing."""
    program = binary()
    user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(WHOLE.format(folder=folder, user=user, servers=servers))
    command: list[str | Path] = [program, "-p", folder, "-c", config, "-e", folder / "error.log"]
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)
    try:
        wait_for(process, port, folder / "error.log", within)
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path, within: float) -> None:
    deadline = time.monotonic() + within
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"nginx did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)
