"""Makes things go wrong inside the processes under test. Nothing of this is in the product.

A test arms a fault by a file of its name in the folder FAULTS; what stands in the file says how much, or where. So a
fault can begin and end while the processes run.
"""

from __future__ import annotations

import datetime
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone

from jobs import events
from jobs.models import Upload
from jobs.store import outcomes
from jobs.worker import broker

ROLE = os.environ.get("FAULT_ROLE", "")
NO_SPACE = "No space left on device"


def armed(name: str) -> str:
    """What stands in the fault's file; empty when it is not armed."""
    try:
        return (Path(os.environ["FAULTS"]) / name).read_text()
    except (FileNotFoundError, KeyError):
        return ""


def here(name: str) -> bool:
    """Whether the fault is armed for this process. It goes off once."""
    if armed(name) != ROLE:
        return False
    try:
        (Path(os.environ["FAULTS"]) / name).unlink()
    except FileNotFoundError:
        return False
    return True


def chance(name: str) -> bool:
    """Whether the fault strikes this time; its file holds how likely it is."""
    likely = armed(name)
    return bool(likely) and random.random() < float(likely)


def install() -> None:
    """Puts all faults in place; none of them strikes until it is armed."""
    connection_created.connect(watch)
    wrap(BaseDatabaseWrapper, "_commit", commit)
    wrap(FileSystemStorage, "_save", store)
    wrap(Upload, "save", save_row)
    wrap(broker, "send", send)
    wrap(events.Publisher, "_send", tell)
    if offset := float(os.environ.get("FAULT_CLOCK", "0")):
        skew(offset)


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(owner, name, wrapped)


def commit(original: Callable[..., None], connection: Any) -> None:
    """The commit is done, and whoever asked for it never hears so."""
    original(connection)
    if ROLE not in ("web", "") and chance("lost-replies"):
        connection.connection.close()
        raise OperationalError("server closed the connection unexpectedly (arranged)")


def store(original: Callable[..., str], storage: Any, name: str, content: Any) -> str:
    """The disk is full when half of the file is written."""
    if not armed("full-disk"):
        return original(storage, name, content)
    content.seek(0)
    original(storage, name, ContentFile(content.read()[: content.size // 2]))
    raise OSError(28, NO_SPACE)


def save_row(original: Callable[..., None], upload: Any, *args: Any, **kwargs: Any) -> None:
    """The file is stored, and the process dies before its row is."""
    if here("die-before-row"):
        os.kill(os.getpid(), signal.SIGKILL)
    original(upload, *args, **kwargs)


def send(original: Callable[..., bool], *args: Any, **kwargs: Any) -> bool:
    """The transaction is committed, and the process dies before its wake-up; or the wake-up is lost on the way."""
    if here("die-before-wakeup"):
        os.kill(os.getpid(), signal.SIGKILL)
    return True if chance("lost-wakeups") else original(*args, **kwargs)


async def tell(original: Callable[..., Any], *args: Any) -> bool:
    """The wake-up of the viewers is lost on the way."""
    return True if chance("lost-wakeups") else bool(await original(*args))


def watch(connection: Any, **kwargs: Any) -> None:
    if statement not in connection.execute_wrappers:  # it outlives a connection
        connection.execute_wrappers.append(statement)


def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """The disk is full when items are to be stored; or there is a defect; or all stands still with its locks held."""
    storing = sql.lstrip().startswith("UPDATE jobs_item SET state")
    if storing and armed("full-database"):
        raise OperationalError(f"could not extend file: {NO_SPACE} (arranged)")
    if storing and here("defect"):
        raise KeyError("arranged")
    found = execute(sql, params, many, context)
    if storing and here("freeze-in-transaction"):
        os.kill(os.getpid(), signal.SIGSTOP)
    return found


def skew(offset: float) -> None:
    """Dates and times of this process are wrong by `offset` seconds."""
    real, away = time.time, datetime.timedelta(seconds=offset)

    class Skewed(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return datetime.datetime.now(tz) + away

    time.time = lambda: real() + offset
    for module in (timezone, outcomes):
        module.datetime = Skewed  # type: ignore[attr-defined]
