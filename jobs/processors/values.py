"""Cells and form fields are text; processors want numbers and flags."""

from __future__ import annotations

import json
import math
import re
from typing import Any

Kind = type[Any]

NAMES: dict[Kind, str] = {
    str: "text",
    int: "a whole number",
    float: "a number such as 0.5",
    bool: "yes or no",
    object: "any value",
}
YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})
ENCRYPTED, BY = "encrypted", "by"
WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?")


def convert(value: Any, kind: Kind) -> Any:
    """`value` as `kind`, one of NAMES; ValueError when it does not read as one."""
    if kind is object or (type(value) is kind and kind is not float):
        return value
    return READERS[kind](value)


def blank(value: Any) -> bool:
    """Whether a cell or field holds nothing."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def is_encrypted(value: Any) -> bool:
    """Whether it is a secret as it is stored: encrypted, with the key of who typed it."""
    return isinstance(value, dict) and value.keys() == {ENCRYPTED, BY}


def shown(value: Any) -> str:
    """A value for a sentence: short, on one line."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise ValueError("not a text")


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a flag is no number")
    text = str(value).strip()
    if not WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text.partition(".")[0])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in YES | NO:
        raise ValueError("neither yes nor no")
    return word in YES


READERS = {str: _text, int: _whole, float: _number, bool: _flag}
