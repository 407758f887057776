"""A secret as programs write it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus


def forms(secret: str) -> dict[str, str]:
    """Each way of writing it, by a name for the reader of a test."""
    plain = secret.encode()
    return {
        "plain": secret,
        "in an address": quote(secret, safe=""),
        "in a form": quote_plus(secret),
        "base64": base64.b64encode(plain).decode(),
        "base64 of a name and it": base64.b64encode(b"courier:" + plain).decode(),
        "base64 for addresses": base64.urlsafe_b64encode(plain).decode(),
        "in JSON": json.dumps(secret)[1:-1],
        "in Python": repr(secret)[1:-1],
    }
