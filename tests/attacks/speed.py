"""Which attacks of a kind `make test` runs too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_fast(values: Iterable[Any]) -> list[Any]:
    """Parameters of which the first stands for all where there is little time."""
    first, *others = values
    return [pytest.param(first, marks=pytest.mark.fast), *others]
