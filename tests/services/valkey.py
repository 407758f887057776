"""A Valkey of its own for a test run."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchweb import valkey as batchweb_valkey
from batchweb.kernel import die_with_parent
from tests.services import Missing


@contextmanager
def valkey() -> Iterator[str]:
    """Yields the URL, unix://…, of an empty server."""
    with tempfile.TemporaryDirectory(prefix="bw-valkey-") as name:
        path = Path(name) / "valkey.sock"
        with server(path):
            yield f"unix://{path}"


@contextmanager
def server(path: Path, within: float = 20.0) -> Iterator[subprocess.Popen[bytes]]:
    """A server on the socket `path`, with its data beside it. It ends with the block, and with the test process."""
    try:
        command = batchweb_valkey.command(path, path.parent / "valkey")
    except FileNotFoundError as error:
        raise Missing(str(error)) from error
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
    try:
        deadline = time.monotonic() + within
        while not batchweb_valkey.answers(path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"Valkey did not start: exit status {process.poll()}")
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
