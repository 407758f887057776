from __future__ import annotations

import io

import pytest

from batchweb.log import Log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_it_writes_a_line_only_when_it_is_complete() -> None:
    out = io.StringIO()
    log = Log(out)
    log.feed("web", 7, b"one\ntw")
    assert out.getvalue() == "web     | one\n"
    log.feed("web", 7, b"o\n")
    assert out.getvalue() == "web     | one\nweb     | two\n"


def test_it_writes_the_last_line_without_its_end() -> None:
    out = io.StringIO()
    log = Log(out)
    log.feed("web", 7, b"last words")
    log.feed("web", 7, b"")
    assert out.getvalue() == "web     | last words\n"


def test_it_keeps_the_halves_of_two_sources_apart() -> None:
    out = io.StringIO()
    log = Log(out)
    log.feed("web", 7, b"a")
    log.feed("keeper", 8, b"b\n")
    log.feed("web", 7, b"c\n")
    assert out.getvalue() == "keeper  | b\nweb     | ac\n"


def test_it_leaves_out_blank_and_hidden_lines() -> None:
    out = io.StringIO()
    Log(out).feed("web", 7, b"\nkeep\n  \ndrop this\n", hidden=("drop",))
    assert out.getvalue() == "web     | keep\n"


def test_it_survives_bytes_that_are_no_text() -> None:
    out = io.StringIO()
    Log(out).feed("web", 7, b"\xff\xfe\n")
    assert out.getvalue() == "web     | \ufffd\ufffd\n"


def test_it_colours_names_on_a_terminal_only() -> None:
    out = Terminal()
    Log(out).write("web", "hello")
    assert out.getvalue() == "\x1b[36mweb     | \x1b[0mhello\n"


def test_it_goes_on_when_nobody_reads() -> None:
    log = Log(Closed())
    log.write("web", "one")
    log.write("web", "two")
    assert log.out is None


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("GET /enter/?sesame=AAbb-_12 HTTP/1.1", "GET /enter/?sesame=… HTTP/1.1"),
        ("connected to postgres://batchweb:s3cret@db:5432/x", "connected to postgres://batchweb:…@db:5432/x"),
        ("broker redis://:pa$$@[::1]:6379/0", "broker redis://:…@[::1]:6379/0"),
        ("see http://127.0.0.1:8000/ by me@example.org", "see http://127.0.0.1:8000/ by me@example.org"),
    ],
)
def test_it_hides_secrets(line: str, written: str) -> None:
    out = io.StringIO()
    Log(out).write("web", line)
    assert out.getvalue() == f"web     | {written}\n"
