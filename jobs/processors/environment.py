"""The few settings of the built-in processors, read from the environment when they are needed."""

from __future__ import annotations

import os

from jobs.processors.values import YES


def setting(name: str) -> str:
    """The variable's text without space around it; empty when it is not set."""
    return os.environ.get(name, "").strip()


def allowed(name: str) -> bool:
    """Whether a switch is on."""
    return setting(name).lower() in YES
