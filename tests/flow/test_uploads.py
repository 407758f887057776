"""A file whose connection drops on the way leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from tests.system import System, until

pytestmark = pytest.mark.flow
SIZE = 6_000_000


def begun(system: System, client: httpx.Client) -> socket.socket:
    """A connection on which half of a file has been sent."""
    edge = "----edge"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n\r\nquery\n'
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    request = (
        f"POST /jobs/uploads/ HTTP/1.1\r\nHost: 127.0.0.1:{system.port}\r\nCookie: {cookies}\r\n"
        f"X-CSRFToken: {client.cookies['csrftoken']}\r\nContent-Length: {SIZE}\r\n"
        f"Content-Type: multipart/form-data; boundary={edge}\r\n\r\n{head}"
    )
    connection = socket.create_connection(("127.0.0.1", system.port), timeout=30)
    connection.sendall(request.encode() + b"x" * (SIZE // 2))
    return connection


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_stores_nothing_of_a_connection_that_drops(own_system: System) -> None:
    client = own_system.client()
    client.get("/jobs/new/")
    uploads = own_system.folder / "var" / "uploads"
    begun(own_system, client).close()
    answer = own_system.post(client, "/jobs/uploads/", {}, {"file": ("rows.csv", b"query\nwhole\n", "text/csv")})
    assert answer.status_code == 201
    until(lambda: len(stored(uploads)) == 1, 10, "only the whole file is stored")
    assert stored(uploads)[0].read_bytes() == b"query\nwhole\n"
    count = own_system.manage("shell", "-v0", "-c", "from jobs.models import Upload; print(Upload.objects.count())")
    assert count.stdout.split()[-1] == "1"
