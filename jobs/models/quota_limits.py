"""How much one person may have here at a time."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

MB: Final = 1_000_000
COPIES: Final = 2
ROW: Final = 80  # bytes that a row takes besides its texts, in its table and indexes; measured: 74 on SQLite
RUN: Final = 340  # and a run besides its parameters and positions; measured: 335 on PostgreSQL, 196 on SQLite
LINE: Final = 150  # and a line of the activity besides its text; measured: 147 on PostgreSQL, 84 on SQLite
RAISE: Final = "or ask whoever runs this batchweb to raise"


class OverQuota(ValueError):
    """A person has as much here as one may have. The message is a sentence for them."""


class NoRoom(OSError):
    """The disk has no more room than the database needs."""


class Allowed(NamedTuple):
    """The `most` that a person may have, 0 for no limit, and what whoever runs this would have to raise."""

    most: int
    by: str


def one_at_a_time(owner: int) -> None:
    """Of two transactions that count what this person has, the second waits for the end of the first.

    Whoever also wants a job of theirs locks that before.
    """
    get_user_model().objects.select_for_update(no_key=True).filter(pk=owner).values_list("pk").first()


def room_for_file(stored: int, size: int, allowed: Allowed) -> None:
    """Raises OverQuota where a file of `size` bytes does not fit beside the `stored` bytes of the same person.

    What is allowed are megabytes.
    """
    most = allowed.most * MB
    if most and stored + size > most:
        raise OverQuota(
            f"This file has {mb(size)} and you have {mb(stored)} stored here already or on their way; "
            f"{mb(most)} are allowed. Delete jobs that you need no more, {RAISE} {allowed.by}."
        )


def room_for_rows(used: int, size: int, allowed: Allowed) -> None:
    """Raises OverQuota where `size` bytes of a job do not fit beside all that its owner has `used`."""
    most = allowed.most * MB
    if most and used + size > most:
        raise OverQuota(
            f"There is no room for more: of {mb(most)} that the owner of this job may store here, {mb(used)} are "
            f"in use. Delete jobs that are needed no more, {RAISE} {allowed.by}."
        )


def size_of(texts: Iterable[str]) -> int:
    """How many bytes these texts take where they are stored."""
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)


def room_to_send(sending: int) -> None:
    """Raises OverQuota where a person is sending so many files already that no more may begin."""
    most = settings.JOBS_UPLOADS_AT_A_TIME
    if most and sending >= most:
        raise OverQuota(f"You are sending {sending:,} files already; {most:,} at a time are allowed. Wait for one.")


def room_on_disk(size: int) -> None:
    """Raises NoRoom where after `size` more bytes the disk would have less left than the database needs to go on.

    What is sent lies there twice for a moment: as it came, and as the file that is found in it.
    """
    reserve = settings.JOBS_DISK_RESERVE_MB * MB
    for folder in {str(settings.DATA_DIR), tempfile.gettempdir()} if reserve else ():
        if shutil.disk_usage(folder).free - COPIES * size < reserve:
            raise NoRoom(errno.ENOSPC, "Less is left than JOBS_DISK_RESERVE_MB", folder)


def room_for_job(owner: Any, unfinished: QuerySet[Any], allowed: Allowed) -> None:
    """Raises OverQuota where a person has so many `unfinished` jobs that no more may begin. Requires a transaction."""
    most = allowed.most
    if not most:
        return
    one_at_a_time(owner.pk)
    if (count := unfinished.count()) >= most:
        jobs = "1 job that has" if count == 1 else f"{count:,} jobs that have"
        raise OverQuota(
            f"You have {jobs} not ended; {most:,} at a time {'is' if most == 1 else 'are'} allowed. "
            f"Wait for one to end, cancel one, {RAISE} {allowed.by}."
        )


def pace(owner: int, made: QuerySet[Any]) -> None:
    """Raises OverQuota where a person `made` so many jobs within a minute that the next one waits. In a transaction."""
    most = settings.JOBS_MAX_JOBS_A_MINUTE
    if not most:
        return
    one_at_a_time(owner)
    if made.count() >= most:
        raise OverQuota(f"You have made {most:,} jobs within a minute, which is the limit. Wait a minute.")


def mb(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / MB:,.1f}".removesuffix(".0") + " MB"
