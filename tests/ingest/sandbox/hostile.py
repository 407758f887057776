"""Children that go wrong in the way that the file says; what pages make of that is tested with them."""

from __future__ import annotations

from typing import IO, Any, Final

from jobs.ingest.sandbox.child import Channel, Tasks
from tests.ingest.sandbox.tasks import TASKS as WAYS


def act(stream: IO[bytes], channel: Channel, **arguments: Any) -> None:
    WAYS[stream.read().decode().strip()](stream, channel)


TASKS: Final[Tasks] = {"look": act, "look_at_head": act, "corrections": act}
