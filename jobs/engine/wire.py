"""Messages between a run and its child processes: a length of eight bytes, then that many bytes of pickle.

Both ends are the same program on the same machine, so pickle is safe here. What a child tells about a failure is plain
text, because an exception may not survive being pickled.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO

_HEAD = struct.Struct(">Q")


def send(pipe: BinaryIO, message: Any) -> None:
    """Write one message; what pickle raises comes before anything was written."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_HEAD.pack(len(body)))
    pipe.write(body)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read one message; EOFError when the other side is gone, also in the middle of one."""
    (size,) = _HEAD.unpack(_exactly(pipe, _HEAD.size))
    return pickle.loads(_exactly(pipe, size))  # noqa: S301


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError("The other side of the pipe is gone.")
    return data
