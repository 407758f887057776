"""How set-based SQL is spoken to SQLite and PostgreSQL, and how a transaction outlives a database that is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES: Final = (0.05, 2.0)  # seconds before the second try, and the most between two later ones


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


def adapter() -> Callable[[datetime | None], Any]:
    """Dates as the database takes them; for many of them, since finding the way there takes longer than the way."""
    adapt: Callable[[datetime | None], Any] = connection.ops.adapt_datetimefield_value
    return adapt


def execute(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement that returns some, else an empty list."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def write_many(
    sqlite: str, postgres_sql: str, casts: Sequence[str], rows: Sequence[Sequence[Any]], extra: Sequence[Any] = ()
) -> int:
    """Runs one statement for all `rows` and returns how many it touched.

    On SQLite it is `sqlite` once a row with the row's values and then `extra`; on PostgreSQL `postgres_sql`, whose
    `{rows}` becomes an unnest of one array a column, each with its cast. Its placeholders of `extra` come after those.
    """
    if not rows:
        return 0
    with connection.cursor() as cursor:
        if postgres():
            unnest = "unnest(" + ", ".join(f"%s::{cast}[]" for cast in casts) + ")"
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(postgres_sql.replace("{rows}", unnest), [*columns, *extra])
        else:
            cursor.executemany(sqlite, [(*row, *extra) for row in rows])
        return int(cursor.rowcount)


def insist(
    transaction: Callable[[], T],
    within: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `transaction` returns, which is run again while the database is away or in a deadlock.

    Raises what the database raised when that lasts longer than `within` seconds.
    """
    deadline = clock() + within
    pause, longest = PAUSES
    while True:
        try:
            return transaction()
        except (OperationalError, InterfaceError) as error:
            if clock() + pause > deadline:
                raise
            logger.warning("The database did not answer (%s); trying again in %g s", str(error).strip(), pause)
        if not connection.in_atomic_block:
            close_old_connections()
        sleep(pause)
        pause = min(2 * pause, longest)
