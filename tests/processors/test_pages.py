from __future__ import annotations

import gzip
import math
import time
import zlib
from collections.abc import Iterator

import pytest

from jobs.processors.pages import HEAD, body, title

TEXT = b"hello " * 100
RAW = zlib.compressobj(wbits=-15)
BARE = RAW.compress(TEXT) + RAW.flush()


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"<title>One</title>", "One"),
        (b"<html><head><TITLE lang=en>\n Two \n words</TITLE>", "Two words"),
        (b"<title>a &amp; b &lt;i&gt;</title>", "a & b <i>"),
        (b"<title>first</title><title>second</title>", "first"),
        (b"<body><svg><title>drawing</title></svg>", ""),
        (b"<svg><title>drawing</title></svg>", ""),
        (b"<!-- <title>no</title> --><title>yes</title>", "yes"),
        (b"<title>kept</title><![a", "kept"),
        (b"<![a <title>lost</title>", ""),
        (b"no markup", ""),
        (b"", ""),
    ],
)
def test_it_finds_the_title(page: bytes, text: str) -> None:
    assert title(page, "text/html") == text


def test_it_cuts_a_long_title() -> None:
    assert len(title(b"<title>" + b"x" * 9000 + b"</title>", "text/html")) == 300


@pytest.mark.parametrize("unit", [b"<!--", b"<!", b"</", b"<a ", b"<a b='", b"<?", b"&", b"<script>", b"<title>"])
def test_it_is_not_slowed_down_by_markup_made_for_it(unit: bytes) -> None:
    def seconds(size: int) -> float:
        page, least = unit * (size // len(unit)), math.inf
        for _ in range(3):
            start = time.process_time()
            title(page, "text/html")
            least = min(least, time.process_time() - start)
        return least

    # Eight times the markup takes eight times as long where the work grows with it, and 64 times where it squares.
    assert seconds(HEAD) < 24 * seconds(HEAD // 8) + 0.05


@pytest.mark.parametrize(
    ("page", "content_type"),
    [
        ("<title>Käse</title>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        ('<meta charset="latin-1"><title>Käse</title>'.encode("latin-1"), "text/html"),
        ("<title>Käse</title>".encode(), "text/html"),
        ("<title>Käse</title>".encode(), "text/html; charset=nonsense"),
        ("<title>Käse</title>".encode(), "text/html; charset=hex"),
        ("<title>Käse</title>".encode(), "text/html; charset=idna"),
        ("<title>Käse</title>".encode(), ""),
    ],
)
def test_it_reads_the_title_in_its_encoding(page: bytes, content_type: str) -> None:
    assert title(page, content_type) == "Käse"


def test_it_replaces_what_is_no_text() -> None:
    assert title(b"<title>a\xff</title>", "text/html") == "a\ufffd"


@pytest.mark.parametrize("content_type", ["image/png", "application/json", "text/plain; charset=utf-8"])
def test_it_finds_no_title_in_what_is_no_page(content_type: str) -> None:
    assert title(b"<title>One</title>", content_type) == ""


def test_it_reads_no_further_than_the_head() -> None:
    assert title(b" " * HEAD + b"<title>late</title>", "text/html") == ""


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT), "X-GZIP"),
        (zlib.compress(TEXT), "deflate"),
        (BARE, "deflate"),
        (TEXT, ""),
        (TEXT, "identity"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_it_unpacks_a_body(packed: bytes, encoding: str, size: int) -> None:
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert body(chunks, encoding, 10_000) == TEXT


def test_it_leaves_an_encoding_that_it_does_not_know() -> None:
    assert body([b"\x1b\x03"], "br", 100) == b"\x1b\x03"


def test_it_stops_at_the_limit() -> None:
    assert body([TEXT, TEXT], "", 700) == (TEXT + TEXT)[:700]


def test_it_asks_for_no_more_when_it_has_enough() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100

    assert len(body(endless(), "", 1000)) == 1000


def test_it_unpacks_no_more_than_the_limit_of_a_bomb() -> None:
    assert len(body([gzip.compress(b"\0" * 50_000_000)], "gzip", 1000)) == 1000


def test_it_gives_up_on_a_packed_body_that_never_yields() -> None:
    empty = zlib.compressobj(0, wbits=31)
    chunks = [empty.compress(b""), *[empty.flush(zlib.Z_FULL_FLUSH) for _ in range(1000)]]
    assert body(chunks, "gzip", 100) == b""


def test_it_keeps_what_was_whole_of_a_damaged_body() -> None:
    assert body([BARE[:-20] + b"\xff" * 20], "deflate", 10_000) == b""
