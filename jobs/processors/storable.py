"""Results as JSON text that every database takes."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from jobs.files.flattening import LONGEST, Key, keys_of

LIMIT = 1_000_000
DEPTH = 100
# Python refuses to print integers of more than 4300 digits; no reader takes half as many.
BITS = 4096
CONTAINERS = (Mapping, list, tuple, set, frozenset)
# What JSON has a form of its own for. Of these exact types only, for a subclass may have habits of its own.
SCALARS = frozenset({str, int, float, bool, type(None)})
SMALL = 1_000  # characters; no text so short holds a number that is too long
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False).encode


class NotStorable(ValueError):
    """A result that cannot be kept as JSON; the text says why."""

    failure_kind = "not storable"


def encode(value: Any, limit: int = LIMIT) -> tuple[str, tuple[Key, ...]]:
    """`value` as JSON text of at most `limit` bytes, and its keys where it is an object; raises NotStorable.

    The keys are those by which it becomes columns of a table.
    """
    if (text := _simple(value, limit)) is not None:
        return text, tuple(value) if type(value) is dict else ()
    return encode_any(value, limit)


def encode_any(value: Any, limit: int) -> tuple[str, tuple[Key, ...]]:
    """What `encode` says, without its short cut."""
    tree = _Plain(limit).convert(value)
    text = _encode(tree)
    if len(text) > limit or len(text.encode()) > limit:
        raise _too_large(limit)
    return text, keys_of(tree) if isinstance(tree, dict) else ()


def _simple(value: Any, limit: int) -> str | None:
    """The text of a small value that needs no change: a scalar, or an object of scalars; None for any other.

    Most results are such, and this takes half of the time that walking through them does.
    """
    left = min(SMALL, limit)
    for key, one in value.items() if type(value) is dict else (("value", value),):
        kind = type(one)
        left -= len(one) if kind is str else 1
        if left < 0 or kind not in SCALARS or type(key) is not str or not 0 < len(key) <= LONGEST:
            return None
    try:
        text = _encode(value)
        size = len(text.encode())
    except ValueError:  # not a number, one with too many digits, or half of a surrogate pair
        return None
    return text if size <= min(SMALL, limit) and "\\u0000" not in text else None


def harmless(text: str) -> str:
    """`text` without NUL and without lone halves of a surrogate pair, which databases and encoders refuse."""
    if text.isascii():
        return text.replace("\0", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Joins the halves that belong together and replaces the others.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\u2400")


class _Plain:
    """Turns one value into lists, dicts, texts and numbers, within a budget, so that a small graph cannot unfold
    into a large tree."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit
        self.parents: set[int] = set()

    def convert(self, value: Any) -> Any:
        self._spend(1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, CONTAINERS) or _is_record(value):
            return self._container(value)
        return self._text(_scalar(value)) if not isinstance(value, Enum) else self.convert(value.value)

    def _text(self, value: str) -> str:
        self._spend(len(value))
        return harmless(value)

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _too_large(self.limit)

    def _container(self, value: Any) -> Any:
        if id(value) in self.parents:
            raise NotStorable("The result contains itself.")
        if len(self.parents) >= DEPTH:
            raise NotStorable(f"The result is nested deeper than {DEPTH} levels.")
        self.parents.add(id(value))
        pairs = _pairs(value)
        made = self._list(value) if pairs is None else self._object(pairs)
        self.parents.discard(id(value))
        return made

    def _list(self, values: Iterable[Any]) -> list[Any]:
        made = [self.convert(one) for one in values]
        # Sets have no order of their own; sorted, the same result is the same text.
        return sorted(made, key=repr) if isinstance(values, (set, frozenset)) else made

    def _object(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            name = self._text(_key(key))
            if name in made:
                raise NotStorable(f"The result has two keys that both read “{name[:40]}”.")
            made[name] = self.convert(value)
        return made


def _pairs(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """The pairs of what becomes an object; None for what becomes a list."""
    if isinstance(value, Mapping):
        return value.items()
    if _is_record(value):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return zip(value._fields, value, strict=True)
    return None


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _number(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotStorable(f"The result holds {float(value)}, which JSON has no number for.")
    if isinstance(value, int) and value.bit_length() > BITS:
        raise NotStorable("The result holds a whole number of more than a thousand digits.")
    return value


def _scalar(value: Any) -> str:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Decimal) and not value.is_finite():
        raise NotStorable(f"The result holds {value}, which JSON has no number for.")
    if isinstance(value, (Decimal, uuid.UUID, PurePath, datetime.timedelta)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise NotStorable("The result holds bytes; decode them to text first.")
    raise NotStorable(f"The result holds a {type(value).__name__}, which is no JSON.")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    if isinstance(key, (datetime.date, uuid.UUID, Enum)):
        return str(key.value if isinstance(key, Enum) else key)
    raise NotStorable(f"The result has a key that is a {type(key).__name__}; keys are texts.")


def _too_large(limit: int) -> NotStorable:
    return NotStorable(f"The result is larger than {limit:,} bytes.")
