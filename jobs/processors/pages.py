"""What a web page holds: its bytes within bounds, and its title."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser

# Far more than what stands before any title; the parser slows down on long pages that are made to slow it down.
HEAD = 128_000
TITLE = 300
CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
INFLATED = {"gzip", "x-gzip", "deflate"}


def body(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """At most `limit` bytes of a body, unpacked where it is packed; no more than that is ever held."""
    plain = _inflate(chunks, encoding.strip().lower(), limit) if encoding.strip().lower() in INFLATED else chunks
    held = bytearray()
    for chunk in plain:
        held += chunk[: limit - len(held)]
        if len(held) >= limit:
            break
    return bytes(held)


def title(page: bytes, content_type: str) -> str:
    """The page's title on one line; empty when it has none or is no HTML."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("", "text/html", "application/xhtml+xml"):
        return ""
    parser = _Title()
    # Never closed: on what is left over at the end, html.parser takes minutes if the page is made for it.
    # AssertionError is what it raises for some markup that is none.
    with suppress(AssertionError):
        parser.feed(_text(page[:HEAD], content_type))
    return " ".join("".join(parser.parts).split())[:TITLE]


def _inflate(chunks: Iterable[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    # 47 takes gzip and zlib; some servers send deflate without the header of zlib.
    inflater = zlib.decompressobj(47)
    received = 0
    for chunk in chunks:
        if received == 0 and encoding == "deflate" and chunk and chunk[0] & 0x0F != 8:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        received += len(chunk)
        try:
            yield inflater.decompress(chunk, limit)
        except zlib.error:
            return
        if inflater.eof or received > limit:
            return


def _text(page: bytes, content_type: str) -> str:
    declared = CHARSET.search(content_type) or CHARSET.search(page[:1024].decode("ascii", "replace"))
    try:
        return page.decode(declared.group(1) if declared else "utf-8", "replace")
    except (LookupError, ValueError):
        return page.decode("utf-8", "replace")


class _Title(HTMLParser):
    """Collects the first title of the head; those of drawings stand in the body."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._inside = self._over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "title" and not self._over
        self._over = self._over or tag in ("title", "body", "svg")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.parts.append(data)
