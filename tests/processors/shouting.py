"""A user's module: importing it registers its processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.processors import Context, Parameter, processor


@processor("shout", inputs=["text"], parameters=[Parameter("times", type=int, default=1)], kind="cpu")
def shout(inputs: Mapping[str, Any], context: Context) -> dict[str, str]:
    """Says it louder."""
    return {"said": inputs["text"].upper() * context.parameters["times"]}
