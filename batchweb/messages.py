"""What workers take from the broker: the few orders that batchweb itself sends. Anything else is dropped with a line.

Celery trusts its broker: a message of an odd type ends the worker, and then the next one that it is given back to.
"""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery.worker import consumer
from kombu.transport import redis

logger = logging.getLogger(__name__)

LONGEST: Final = 4096  # bytes of a body; ours have about a hundred
JSON: Final = ("application/json", "utf-8")
TEXTS: Final = ("root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "lang")
# Features of Celery of which our orders make no use: times, limits, groups, retries, other tasks to follow.
UNUSED: Final = ("eta", "expires", "shadow", "group", "group_index", "retries", "replaced_task_nesting", "compression",
                 "stamped_headers")  # fmt: skip
ADDRESS: Final = ("exchange", "routing_key")
DROPPED: Final = "A message that is no order of ours was dropped: it is told by %s."


class Consumer(consumer.Consumer):
    """Looks at each message before Celery does."""

    connection_errors: tuple[type[BaseException], ...]

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], object]:
        handle: Callable[[Any], object] = super().create_task_handler(*arguments, **options)

        def on_task_received(message: Any) -> object:
            odd = odd_order(message, self.app.tasks)
            if not odd:
                return handle(message)
            logger.error(DROPPED, odd)
            return message.reject_log_error(logger, self.connection_errors)

        return on_task_received


def odd_order(message: Any, tasks: Mapping[str, object]) -> str:
    """Which part of a message is not as our own are; empty for one of ours."""
    if (message.content_type, message.content_encoding) != JSON:
        return "its content type"
    if not isinstance(message.headers, dict) or not fit(message.headers, tasks):
        return "its headers"
    if len(message.body) > LONGEST or not plain(message):
        return "its body"
    return ""


def fit(headers: dict[str, Any], tasks: Mapping[str, object]) -> bool:
    task, order = headers.get("task"), headers.get("id")
    if not isinstance(task, str) or task.startswith("celery.") or task not in tasks or not isinstance(order, str):
        return False
    if any(not isinstance(headers.get(name) or "", str) for name in TEXTS):
        return False
    if any(headers.get(name) not in (None, 0) for name in UNUSED) or headers.get("stamps") not in (None, {}):
        return False
    return headers.get("timelimit") in (None, [None, None])


def plain(message: Any) -> bool:
    """Whether it asks for a task with nothing but numbers."""
    try:
        arguments, named, embedded = message.decode()
        return (
            isinstance(arguments, list)
            and all(type(argument) is int and abs(argument) < 2**63 for argument in arguments)
            and named == {}
            and not any(embedded.values())
        )
    except Exception:  # whatever the decoders say
        return False


class Channel(redis.Channel):
    """Goes on after what is not even a message."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            logger.error(DROPPED, "its form")
            return True


class Transport(redis.Transport):
    """Redis and Valkey, where a queue is a list into which anything can be put."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if odd := odd_envelope(message):
            logger.error(DROPPED, odd)
        else:
            super()._deliver(message, queue)


def odd_envelope(message: Any) -> str:
    """Which part of what lay in the queue no Celery could have written; empty for a message."""
    if not isinstance(message, dict) or not isinstance(message.get("properties"), dict):
        return "its form"
    properties = message["properties"]
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, dict) or any(not isinstance(delivery.get(part), str) for part in ADDRESS):
        return "its address"
    if not isinstance(properties.get("delivery_tag"), str):
        return "its tag"
    if any(not isinstance(properties.get(name) or "", str) for name in ("correlation_id", "reply_to")):
        return "its sender"
    headers = message.get("headers")
    # What is compressed would be unpacked before anybody could look at it.
    if not isinstance(headers, dict) or headers.get("compression"):
        return "its headers"
    return "" if readable(message.get("body"), properties.get("body_encoding")) else "its body"


def readable(body: Any, encoding: Any) -> bool:
    if not isinstance(body, str) or encoding != "base64" or len(body) > 2 * LONGEST:
        return False
    try:
        b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
