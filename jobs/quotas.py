"""How much one person may have here at a time."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

MB: Final = 1_000_000
RAISE: Final = "or ask whoever runs this batchweb to raise"


class OverQuota(ValueError):
    """A person has as much here as one may have. The message is a sentence for them."""


class Allowed(NamedTuple):
    """The `most` that a person may have, 0 for no limit, and what whoever runs this would have to raise."""

    most: int
    by: str


def one_at_a_time(owner: Any) -> None:
    """Of two transactions that count what this person has, the second waits for the end of the first."""
    get_user_model().objects.select_for_update(no_key=True).filter(pk=owner.pk).first()


def room_for_file(stored: int, size: int, allowed: Allowed) -> None:
    """Raises OverQuota where a file of `size` bytes does not fit beside the `stored` bytes of the same person.

    What is allowed are megabytes.
    """
    most = allowed.most * MB
    if most and stored + size > most:
        raise OverQuota(
            f"This file has {mb(size)} and you have {mb(stored)} stored here already; {mb(most)} are allowed. "
            f"Delete jobs that you need no more, {RAISE} {allowed.by}."
        )


def room_for_job(owner: Any, unfinished: QuerySet[Any], allowed: Allowed) -> None:
    """Raises OverQuota where a person has so many `unfinished` jobs that no more may begin. Wants a transaction."""
    most = allowed.most
    if not most:
        return
    one_at_a_time(owner)
    if (count := unfinished.count()) >= most:
        jobs = "1 job that has" if count == 1 else f"{count:,} jobs that have"
        raise OverQuota(
            f"You have {jobs} not ended; {most:,} at a time {'is' if most == 1 else 'are'} allowed. "
            f"Wait for one to end, cancel one, {RAISE} {allowed.by}."
        )


def mb(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / MB:,.1f}".removesuffix(".0") + " MB"
