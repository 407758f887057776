"""A processor that fails for reasons which people can fix: loaded by the system that the tests of fixing use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from jobs.processors import Context, Failed, Input, Parameter, processor


@processor(
    "price",
    inputs=[Input("article"), Input("cents")],
    parameters=[
        Parameter("most", type=int, default=500, minimum=1, help="What costs more than so many cents fails."),
        Parameter("seconds", type=float, default=0.0, minimum=0, help="How long a row takes."),
    ],
)
def price(inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Prices articles in euros."""
    context.logger.info("Attempt %d for %s.", context.number, inputs["article"])
    time.sleep(context.parameters["seconds"])
    cents = int(inputs["cents"])
    if cents > context.parameters["most"]:
        raise Failed("too dear", f"{cents} cents are too many.")
    return {"euros": cents / 100, "tags": {"cheap": cents < 200}}
