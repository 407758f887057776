"""Whether a web server is well. `python -m batchweb.healthcheck` is the health check of a container."""

from __future__ import annotations

import http.client
import os
import sys


def well(host: str, port: int, timeout: float = 2.0) -> bool:
    """Whether /healthz answers 200 within `timeout` seconds."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    return 0 if well("127.0.0.1", int(os.environ.get("PORT", "8000"))) else 1


if __name__ == "__main__":
    sys.exit(main())
