"""A secret with a known text, and how to find what anybody could read of it in any text."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

CANARY = 'cnry-7Qz/+x"é<&Wk-9vT2mB4pL8sJ6hF3dR0yN5-end'
# Pieces of it: six characters in a row are more than chance.
PIECES = {CANARY[at : at + 6].lower() for at in range(len(CANARY) - 5)}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")


def found_in(text: str) -> list[str]:
    """The pieces of it that can be read in the text, in any of the ways to write it, each with what stands around."""
    return [f"{piece} in …{where}…" for reading in _readings(text) for piece, where in _pieces(reading)][:5]


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    lower = text.lower()
    for piece in PIECES:
        at = lower.find(piece)
        if at >= 0:
            yield piece, text[max(0, at - 60) : at + 60]


def _readings(text: str) -> Iterator[str]:
    once = [text, unquote_plus(text), html.unescape(text), _unescaped(text)]
    yield from once
    for one in once:
        yield from (unquote_plus(one), _unescaped(one))
    for piece in _HEX.findall(text):
        yield bytes.fromhex(piece).decode("latin-1")
    for piece in _BASE64.findall(unquote_plus(text.replace("+", "%2B"))):
        for shift in range(4):
            part = piece[shift:].replace("-", "+").replace("_", "/")
            try:
                yield base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1")
            except binascii.Error:
                continue


def _unescaped(text: str) -> str:
    def read(match: re.Match[str]) -> str:
        try:
            return str(json.loads(f'"{match[0]}"'))
        except ValueError:
            return chr(int(match[0][2:], 16)) if match[0][1] == "x" else match[0][1:]

    return re.sub(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", read, text)
