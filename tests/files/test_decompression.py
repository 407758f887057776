from __future__ import annotations

import gzip
import io

import pytest

from jobs.files import Limits, Unreadable, preflight, read, recognise, sniff
from tests.files.corpus import Endless, bomb, opened, reasons, rows, values

TEXT = b"id,q\n" + b"".join(b"%d,some words to read\n" % n for n in range(50_000))


def test_it_says_that_a_file_is_compressed() -> None:
    shape = opened(gzip.compress(b"id,q\n1,a\n"), "a.csv.gz").shape

    assert (shape.format, shape.compression) == ("csv", "gzip")


def test_it_goes_by_content_and_not_by_name() -> None:
    assert (opened(b"id,q\n1,a\n", "a.csv.gz").shape.compression, len(rows(gzip.compress(TEXT), "a.txt"))) == (
        "",
        50_000,
    )


def test_it_reads_all_members() -> None:
    data = b"".join(gzip.compress(part) for part in (b"id,q\n", b"1,a\n", b"", b"2,b\n"))

    assert values(data, "a.csv") == [["1", "a"], ["2", "b"]]


def test_it_reads_over_zeros_at_the_end() -> None:
    assert values(gzip.compress(b"id,q\n1,a\n") + bytes(512), "a.csv") == [["1", "a"]]


def test_it_recognises_a_file_by_its_first_part() -> None:
    packed = gzip.compress(TEXT)

    assert sniff(packed[: len(packed) // 2], "a.csv.gz").columns == ("id", "q")


@pytest.mark.parametrize("cut", [1, 8, 9, 5_000])
def test_it_says_that_a_file_ends_in_the_middle(cut: int) -> None:
    with pytest.raises(Unreadable, match="The gzip file ends in the middle"):
        rows(gzip.compress(TEXT)[:-cut], "a.csv")


def test_it_says_that_a_file_is_damaged() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1

    with pytest.raises(Unreadable, match="The gzip file is damaged after 1,"):
        rows(bytes(packed), "a.csv")


def test_it_refuses_what_is_not_gzip_behind_it() -> None:
    with pytest.raises(Unreadable, match="damaged"):
        rows(gzip.compress(b"id,q\n1,a\n") + b"more", "a.csv")


@pytest.mark.parametrize("piece", [b"1,a\n", b"x", b"\n", b"\0", b" "])
def test_it_refuses_a_bomb(piece: bytes) -> None:
    with pytest.raises(Unreadable, match=r"more than 200 times its size|is binary"):
        preflight(io.BytesIO(bomb(b"id,q\n1,a\n", piece, 50)), "a.csv.gz")


def test_it_refuses_more_than_the_limit() -> None:
    with pytest.raises(Unreadable, match="unpacks to more than 1,000,000 bytes"):
        rows(gzip.compress(TEXT), "a.csv", Limits(unpacked_bytes=1_000_000))


def test_it_takes_a_small_file_whatever_its_ratio() -> None:
    assert preflight(io.BytesIO(bomb(b"id,q\n", b"1,a\n", 1)), "a.csv.gz").rows == 250_000


def test_it_does_not_unpack_what_is_packed_twice() -> None:
    with pytest.raises(Unreadable, match="binary"):
        rows(gzip.compress(gzip.compress(TEXT)), "a.csv")


def test_it_finds_bad_rows_in_it() -> None:
    assert reasons(gzip.compress(b"id,q\n1,a\n2\n"), "a.csv").keys() == {2}


def test_it_reads_a_stream_that_cannot_go_back() -> None:
    packed = gzip.compress(TEXT)

    assert preflight(Endless(packed, b" ", len(packed)), "a.csv").rows == 50_000


def test_it_reads_the_same_rows_again() -> None:
    stream = io.BytesIO(gzip.compress(TEXT))
    shape = recognise(stream)
    first = [row.payload for row in read(stream, shape)]
    stream.seek(0)

    assert [row.payload for row in read(stream, shape)] == first
