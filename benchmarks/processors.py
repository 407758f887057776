"""The same as processors: a product started with JOBS_PROCESSORS=benchmarks.processors has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.functions import compute
from jobs.processors import Context, Parameter, processor


@processor("bench-nothing", inputs=["name"])
def nothing_in_a_job(inputs: Mapping[str, Any], context: Context) -> Any:
    """Gives back what it gets."""
    return inputs["name"]


@processor("bench-compute", inputs=["name"], parameters=[Parameter("loops", type=int, default=1)], kind="cpu")
def compute_in_a_job(inputs: Mapping[str, Any], context: Context) -> int:
    """Computes in pure Python."""
    return compute(context.parameters["loops"])
