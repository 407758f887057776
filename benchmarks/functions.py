"""What is done to one item: nothing, a wait, some computing."""

from __future__ import annotations

import time
from typing import Any


def nothing(item: Any) -> Any:
    return item


def wait(seconds: float) -> None:
    time.sleep(seconds)


def compute(loops: int) -> int:
    """Pure Python; some 10,000 loops take a millisecond."""
    total = 0
    for number in range(loops):
        total += number * number
    return total
