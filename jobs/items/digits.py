"""Numbers that stand in an address or a form."""

from __future__ import annotations

from typing import Final

MOST: Final = 18  # digits; more may be too large for a database


def number(text: str, digits: int = MOST) -> int | None:
    """The whole number that the text is; None where it is none, has a sign or more digits than these."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
