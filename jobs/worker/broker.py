"""Messages to workers and readers: each only says that there is something to do, and carries no payload.

Where the broker cannot be reached, the keeper sends it later.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from kombu.exceptions import OperationalError

from batchweb import celery_app

logger = logging.getLogger(__name__)

WORK: Final = "jobs.work"
LOAD: Final = "jobs.load_file"
AT_ONCE: Final = 1.0  # seconds


def send(name: str, *args: Any) -> bool:
    """Sends the task called `name`; False when the broker cannot be reached.

    A person waits meanwhile: a connection that had died fails at once and is worth another try, a broker that hangs
    is not.
    """
    begun = time.monotonic()
    error = try_to_send(name, args)
    if error and time.monotonic() - begun < AT_ONCE:
        error = try_to_send(name, args)
    if error:
        logger.warning("The broker cannot be reached (%s); the keeper sends %s later", type(error).__name__, name)
    return error is None


def try_to_send(name: str, args: tuple[Any, ...]) -> Exception | None:
    """What went wrong, if anything."""
    try:
        celery_app.send_task(name, args=args, queue="load" if name == LOAD else "work", retry=False)
    except (OperationalError, OSError) as error:
        return error
    return None


def queued(queue: str) -> int | None:
    """How many messages wait in a queue of the broker; None where it does not answer."""
    with celery_app.connection_for_write() as broker:
        errors: tuple[type[BaseException], ...] = (*broker.connection_errors, OSError)
        try:
            # Tries once; whoever asks for a channel first waits for the broker for ever.
            broker.connect()
            channel: Any = broker.channel()
            return int(channel.queue_declare(queue, passive=True).message_count)
        except broker.channel_errors:
            return 0  # nobody has sent anything to this queue yet
        except errors:
            return None


def send_each(name: str, count: int) -> None:
    """Sends so many wake-ups; none after one that did not arrive."""
    for _ in range(count):
        if not send(name):
            return
