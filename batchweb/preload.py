"""What the processes of one system have in common: loaded once, before they are forked off, and kept once in memory.

None of it may start a thread or open a connection.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from django.conf import settings

from batchweb import celery_app, fork, redact, web

WEB: Final = (
    settings.ROOT_URLCONF, *{name.rpartition(".")[0] for name in settings.MIDDLEWARE}, "jobs.routing", "channels.auth",
    "channels_redis.pubsub", "django.core.asgi", "batchweb.fairness", "batchweb.origins", "batchweb.protocols",
    "batchweb.screening",
)  # fmt: skip
WORKER: Final = (
    "batchweb.messages", "billiard.popen_fork", "billiard.sharedctypes", "billiard.synchronize", "celery.app.amqp",
    "celery.app.control", "celery.app.events", "celery.app.log", "celery.app.routes", "celery.apps.worker",
    "celery.bin.celery", "celery.concurrency.asynpool", "celery.concurrency.prefork", "celery.events.receiver",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery", "celery.worker.strategy", "kombu.pidbox", "jobs.tasks",
)  # fmt: skip
MODULES: Final = (*WEB, *WORKER, "jobs.maintenance.keeper", "jobs.management.commands.keep")


def load() -> None:
    """Loads it all, so that a fork may follow."""
    for text in web.WARNINGS:
        warnings.filterwarnings("ignore", re.escape(text.removeprefix("ignore:")))
    for name in MODULES:
        import_module(name)
    warm_up()
    fork.freeze()


def warm_up() -> None:
    """Does once what each fork would do: what is made by that is shared."""
    celery_app.loader.import_default_modules()
    celery_app.finalize()
    redact.redacted("")
    # Each process of a pool asks to end with its parent, and takes a parser of C for that.
    billiard: Any = import_module("billiard.util")
    with suppress(OSError):  # where the system knows no such signal
        billiard.set_pdeathsig(billiard.get_pdeathsig())
