"""What an archive is written to that is sent while it is made."""

from __future__ import annotations

import io
from typing import Any


class Pipe(io.RawIOBase):
    """Takes what is written and gives it away. It cannot go back, so archives have to do without."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
