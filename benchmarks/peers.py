"""joblib, in a module of its own: what it takes to import counts for nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from joblib import Parallel, delayed  # type: ignore[import-untyped]


def joblib_threads(items: Sequence[Any], function: Callable[[Any], Any], workers: int) -> list[Any]:
    done: list[Any] = Parallel(n_jobs=workers, prefer="threads")(delayed(function)(item) for item in items)
    return done
