"""Stored JSON texts as pages take them apart: only where what comes out does not fill a web server's memory.

A row of 10 MB may hold five million empty lists, which take 60 times as much; written with indents it grows again.
"""

from __future__ import annotations

import json
from typing import Final

from jobs import files
from jobs.files.jsonlines import has_too_many

INDENT: Final = json.JSONEncoder(indent=2, ensure_ascii=False)
SPACE: Final = 2_000_000  # characters that indents may add


def cells(payload: str, shape: files.Shape, columns: list[str]) -> list[str]:
    """A payload's cells. Raises ValueError and TypeError where it cannot be read, ValueError where it has too many."""
    if not shape.tabular and has_too_many(payload):
        raise ValueError("The row holds too many values.")
    return files.cells(payload, shape, columns)


def pretty(text: str) -> str:
    """JSON text indented for reading; as it is where it is none, or gets much longer by that."""
    if not text or has_too_many(text):
        return text
    left = len(text) + SPACE
    pieces = []
    try:
        for piece in INDENT.iterencode(json.loads(text)):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                return text
    except (ValueError, RecursionError):
        return text
    return "".join(pieces)
