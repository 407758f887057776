"""How set-based SQL is spoken to SQLite and PostgreSQL, and how a transaction outlives a database that is away."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.utils import timezone

from batchweb import lock

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES: Final = (0.05, 2.0)  # seconds before the second try, and the most between two later ones
LAST_TRY: Final = 3.0  # seconds after which a process that is to stop gives up


@dataclass(frozen=True, slots=True)
class Raw:
    """SQL of our own, never of a person's."""

    sql: str


def postgres() -> bool:
    return connection.vendor == "postgresql"


def for_update() -> str:
    """Locks the rows of a SELECT. SQLite's write transactions have the whole database to themselves already."""
    return "FOR UPDATE" if postgres() else ""


def later(seconds: float) -> str:
    """SQL for `seconds` after now by the database's clock; goes with parameters, so its percent signs are doubled."""
    if postgres():
        return f"clock_timestamp() + interval '{seconds:f} seconds'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+{seconds:f} seconds')"


def ahead() -> timedelta:
    """How far the database's clock is ahead of ours; nothing where they differ by less than a second."""
    if not postgres():
        return timedelta(0)
    ((now,),) = execute("SELECT clock_timestamp()")
    difference: timedelta = now - timezone.now()
    return difference if abs(difference) >= timedelta(seconds=1) else timedelta(0)


def octets(column: str) -> str:
    """SQL for how many bytes a text takes."""
    return f"OCTET_LENGTH({column})" if postgres() else f"LENGTH(CAST({column} AS BLOB))"


def adapter() -> Callable[[datetime | None], Any]:
    """Dates as the database takes them; for many of them, since finding the way there takes longer than the way."""
    adapt: Callable[[datetime | None], Any] = connection.ops.adapt_datetimefield_value
    return adapt


def execute(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement that returns some, else an empty list."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def stamps(epochs: Iterable[float]) -> list[str]:
    """Times, in seconds since the epoch, as the database takes dates.

    For many of them: most share their second with the one before, so this takes a tenth of the time of `adapter`.
    """
    zone = "+00" if postgres() else ""
    known: dict[int, str] = {}
    found = []
    for epoch in epochs:
        second = int(epoch)
        micro = round((epoch - second) * 1_000_000)
        if micro == 1_000_000:
            second, micro = second + 1, 0
        if second not in known:
            known[second] = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}."
        found.append(f"{known[second]}{micro:06d}{zone}")
    return found


def array(values: Iterable[Any]) -> str:
    """Texts, numbers, dates and None as the text of a PostgreSQL array; psycopg takes ten times as long for a list."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if type(value) in (int, float):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def among(column: str, values: Iterable[int]) -> tuple[str, str]:
    """A condition that the column has one of these whole numbers, however many, and its one parameter."""
    if postgres():
        return f"{column} = ANY(%s::int[])", array(values)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(values))


def write_many(sqlite: str, postgres_sql: str, casts: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Runs one statement for all `rows` and returns how many it touched; see `write_columns`."""
    return write_columns(sqlite, postgres_sql, casts, list(zip(*rows, strict=True)))


def write_columns(sqlite: str, postgres_sql: str, casts: Sequence[str], columns: Sequence[Sequence[Any]]) -> int:
    """Runs one statement for all rows, given as their columns, and returns how many it touched.

    On SQLite it is `sqlite` once a row with the row's values; on PostgreSQL `postgres_sql`, whose `{rows}` becomes an
    unnest of one array a column, each with its cast.
    """
    if not columns or not columns[0]:
        return 0
    with connection.cursor() as cursor:
        if postgres():
            unnest = "unnest(" + ", ".join(f"%s::{cast}[]" for cast in casts) + ")"
            cursor.execute(postgres_sql.replace("{rows}", unnest), [array(column) for column in columns])
        else:
            cursor.executemany(sqlite, list(zip(*columns, strict=True)))
        return int(cursor.rowcount)


class LeaderLock:
    """The one process that does something: who asks first, until it ends or loses the database."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._held: object = None

    def mine(self) -> bool:
        if postgres():
            return self._session_is_mine()
        if self._held is None:
            with suppress(lock.AlreadyLocked):
                self._held = lock.hold(Path(settings.DATA_DIR) / f"{self.name}.lock")
        return self._held is not None

    def _session_is_mine(self) -> bool:
        """PostgreSQL lets go of the lock when the session ends, so it is asked for again in each new one."""
        connection.ensure_connection()
        if self._held is not connection.connection:
            ((taken,),) = execute("SELECT pg_try_advisory_lock(hashtext(%s))", [f"batchweb {self.name}"])
            self._held = connection.connection if taken else None
        return self._held is not None

    def release(self) -> None:
        if isinstance(self._held, int):
            os.close(self._held)
        elif self._held is not None:
            execute("SELECT pg_advisory_unlock(hashtext(%s))", [f"batchweb {self.name}"])
        self._held = None


def retry_while_down(
    transaction: Callable[[], T],
    within: float,
    *,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `transaction` returns, which is run again while the database is away or in a deadlock.

    Raises what the database raised when that lasts longer than `within` seconds, or a few when `stopping`.
    """
    begun = clock()
    pause, longest = PAUSES
    while True:
        try:
            return transaction()
        except (OperationalError, InterfaceError) as error:
            if clock() + pause > begun + (min(within, LAST_TRY) if stopping() else within):
                raise
            logger.warning("The database did not answer (%s); trying again in %g s", str(error).strip(), pause)
        if not connection.in_atomic_block:
            close_old_connections()
        sleep(pause)
        pause = min(2 * pause, longest)


@contextmanager
def one_moment() -> Iterator[None]:
    """All readings inside see the same moment, so that a worker which writes meanwhile makes no difference."""
    outermost = not connection.in_atomic_block
    connection.ensure_connection()  # connecting sets the mode anew
    mode = getattr(connection, "transaction_mode", None)
    if connection.vendor == "sqlite":
        # A reader of SQLite sees one moment without the write lock that transactions here take otherwise.
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            if outermost and postgres():
                execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    finally:
        if connection.vendor == "sqlite":
            connection.transaction_mode = mode  # type: ignore[attr-defined]
