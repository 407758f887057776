"""Many things in lists that memory has room for, however large each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], most: int, room: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in their order: `most` at a time, fewer where they come to `room` by `size`, one in any case."""
    batch: list[T] = []
    left = room
    for item in items:
        batch.append(item)
        left -= size(item)
        if left <= 0 or len(batch) >= most:
            yield batch
            batch, left = [], room
    if batch:
        yield batch
