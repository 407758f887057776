"""Whether a web server is well. `python -m batchweb.probe` is the health check of a container."""

from __future__ import annotations

import http.client
import os
import sys


def well(host: str, port: int, name: str = "localhost", timeout: float = 2.0) -> bool:
    """Whether /healthz answers 200. `name` is the host name the server is told, one of its ALLOWED_HOSTS."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz", headers={"Host": name})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def spoken(allowed: list[str]) -> str:
    """A host name that these ALLOWED_HOSTS let in."""
    first = (allowed or ["localhost"])[0].strip().lstrip(".")
    return "localhost" if first in ("", "*") else first


def main() -> int:
    name = spoken(os.environ.get("ALLOWED_HOSTS", "localhost").split(","))
    return 0 if well("127.0.0.1", int(os.environ.get("PORT", "8000")), name) else 1


if __name__ == "__main__":
    sys.exit(main())
