"""A user's module whose processor carries a secret elsewhere, and a library of it that talks too much."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx

from jobs.processors import Context, Parameter, processor
from jobs.processors.pages import body
from tests.attacks.forms import forms

MOST: Final = 1_000_000  # bytes of an answer; a service may send a gigabyte packed as a megabyte
library: Final = logging.getLogger("courier_library")


@processor("deliver", inputs=["text"], parameters=[Parameter("url"), Parameter("token", secret=True)])
def deliver(inputs: Mapping[str, Any], context: Context) -> dict[str, int]:
    """Sends each text with the token, and logs how, as libraries do."""
    token = context.parameters["token"]
    for name, form in forms(token).items():
        library.warning("%s %s", name, form)
        context.logger.warning("our own: %s %s", name, form)
    library.warning("cut after much: %s%s", "x" * 500, token)
    headers = {"Authorization": f"Bearer {base64.b64encode(token.encode()).decode()}"}
    with httpx.stream("POST", context.parameters["url"], content=inputs["text"], headers=headers) as answer:
        if answer.status_code != 200:
            text = body(answer.iter_raw(), answer.headers.get("content-encoding", ""), MOST).decode(errors="replace")
            raise ValueError(f"Refused: {text}, sent was {token} ({'y' * 1990}{token})")
        return {"status": answer.status_code}
