"""A sign-out is heard by sockets that other web processes hold, and by downloads."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from jobs.export.streaming import LOOK
from jobs.live.viewer import NOT_FOUND
from tests.system import ROOT, System, free_port, until

pytestmark = pytest.mark.flow


@contextmanager
def another_web_process(system: System) -> Iterator[str]:
    """Its address; it shares nothing with the first one but the database and the broker."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "batchweb.asgi:application", "--port", str(port)],
        cwd=ROOT, env=system.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
        return False

    try:
        until(answers, 30, "the second web process answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(15)


def closed_with(viewer: ClientConnection, within: float = 15.0) -> int | None:
    """What the server closes the socket with, long before it would have asked by itself. Raises TimeoutError."""
    deadline = time.monotonic() + within
    try:
        while True:
            viewer.recv(max(0.0, deadline - time.monotonic()))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_it_closes_sockets_of_other_web_processes(system: System) -> None:
    client = system.client()
    with another_web_process(system) as url, system.socket(client, "/ws/jobs/") as viewer:
        assert viewer.recv(10.0)
        with httpx.Client(base_url=url, cookies=dict(client.cookies)) as other:
            token = other.get("/").cookies.get("csrftoken") or client.cookies["csrftoken"]
            other.cookies.set("csrftoken", token)
            answer = other.post("/accounts/logout/", data={"csrfmiddlewaretoken": token}, headers={"Referer": url})
            assert answer.status_code == 302
        assert closed_with(viewer) == NOT_FOUND


def test_it_cuts_a_download_off(system: System, tmp_path: Path) -> None:
    client = system.client()
    rows = "".join(f"{at},{'x' * 1000}\n" for at in range(20_000))
    (tmp_path / "rows.csv").write_text("name,text\n" + rows)
    code = system.submit(tmp_path / "rows.csv", "--param", "seconds=0")
    system.ended(client, code)
    with system.again(client).stream("GET", f"/jobs/{code}/results.csv") as answer:
        pieces = answer.iter_raw()
        taken = io.BytesIO()
        taken.write(next(pieces))
        assert system.post(client, "/accounts/logout/", {}).status_code == 302
        # What is on its way while nobody reads is a megabyte or two; the next part is made after this.
        time.sleep(LOOK + 0.1)
        with pytest.raises(httpx.RemoteProtocolError):
            taken.writelines(pieces)
    assert taken.tell() < len(rows)
    until(lambda: "A download was ended" in system.log(), 15, "the log says so")
    assert "Traceback" not in system.log()
