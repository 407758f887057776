"""Settings as variables of the environment. What is no number, or neither yes nor no, ends a start with a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import environ

YES: Final = ("1", "true", "yes", "on", "y", "t", "ok")
NO: Final = ("0", "false", "no", "off", "n", "f")

env: Final = environ.FileAwareEnv()


def whole(name: str, default: int, empty: int | None = None) -> int:
    """The variable `name` as a whole number; `default` where it is not set, and where it is empty unless told else."""
    return int(_number(name, int, "a whole number", default, empty))


def decimal(name: str, default: float) -> float:
    """The variable `name` as a number; `default` where it is not set or empty."""
    return float(_number(name, float, "a number", default))


def switch(name: str, default: bool) -> bool:
    """The variable `name` as yes or no; `default` where it is not set or empty. Another word ends the start."""
    text = env.str(name, "").strip().lower()
    if text not in ("", *YES, *NO):
        raise SystemExit(f"{name} must be 1 or 0, not “{text[:40]}”.")
    return text in YES if text else default


def _number(name: str, read: Callable[[str], Any], what: str, default: Any, empty: Any = None) -> Any:
    text: str = env.str(name, str(default)).strip()
    if not text:
        return default if empty is None else empty
    try:
        if math.isfinite(value := read(text)):
            return value
    except ValueError:
        pass
    raise SystemExit(f"{name} must be {what}, not “{text[:40]}”.")
