from __future__ import annotations

import pytest

from jobs.files import Limits
from tests.files.corpus import ENCODINGS, NEWLINES, ODDITIES, opened, reasons, values


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
def test_it_reads_each_newline_and_encoding(newline: str, encoding: str) -> None:
    data = newline.join(("first one", "", " zweite größe ", " \t", "third")).encode(encoding)

    assert values(data, "a.txt") == [["first one"], [" zweite größe "], ["third"]]


@pytest.mark.parametrize("oddity", ODDITIES)
def test_it_keeps_what_only_looks_like_a_line_end(oddity: str) -> None:
    assert values(f"a{oddity}b\nc\n", "a.txt") == [[f"a{oddity}b"], ["c"]]


def test_it_calls_the_column_text() -> None:
    assert opened("hello\n", "a.txt").columns == ("text",)


def test_it_takes_quotes_and_commas_as_they_are() -> None:
    assert values('he said "no\nwell, yes, maybe\n') == [['he said "no'], ["well, yes, maybe"]]


def test_it_rejects_undecodable_bytes_and_goes_on() -> None:
    assert reasons(b"a\nb\xc3\nc\n", "a.txt") == {2: "is not valid UTF-8: byte 0xC3"}


@pytest.mark.parametrize("long", ["x" * 11, "x" * 500])
def test_it_rejects_a_long_line_and_goes_on(long: str) -> None:
    assert reasons(f"a\n{long}\nb\n", "a.txt", Limits(cell_chars=10, row_bytes=40)) == {
        2: "is longer than 10 characters"
    }


def test_it_shows_nul_as_a_symbol() -> None:
    assert values("a\0b\nccc\nddd\n", "a.txt") == [["a\u2400b"], ["ccc"], ["ddd"]]
