from __future__ import annotations

import io
import logging

import pytest

from batchweb.log import Log, escaped
from batchweb.redact import Formatter
from jobs.engine import redaction


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


FORGED = "2026-11-30 12:00:00,000 INFO jobs.forged: mallory became administrator"
SEPARATORS = ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1b[2K\x1b[1G", "\x9b2K", "\0",
              "\u202e", "\u2066", "\x08" * 80]  # fmt: skip


@pytest.mark.parametrize("separator", SEPARATORS)
def test_it_shows_odd_characters(separator: str) -> None:
    shown = escaped(f"rows{separator}{FORGED}.csv")
    assert shown.isprintable()
    assert shown == f"rows{separator.encode('unicode_escape').decode()}{FORGED}.csv"


def test_it_writes_what_no_stream_could() -> None:
    assert escaped("half \ud83d a pair").encode() == b"half \\ud83d a pair"


@pytest.mark.parametrize("text", ["Ünïcode, 日本語 and 🙂", "a\ttab", "back\\slash"])
def test_it_leaves_ordinary_text_alone(text: str) -> None:
    assert escaped(text) == text


def test_it_shows_odd_characters_of_processes() -> None:
    out = io.StringIO()
    Log(out).feed("web", 7, f"one\r{FORGED}\x1b[2J\n".encode())
    assert out.getvalue() == f"web     | one\\r{FORGED}\\x1b[2J\n"


def test_it_keeps_no_line_without_an_end() -> None:
    out = io.StringIO()
    log = Log(out)
    for _ in range(100):
        log.feed("web", 7, b"x" * 10_000)
    assert len(out.getvalue()) > 900_000
    assert sum(map(len, log.rests.values())) < 100_000


@pytest.mark.parametrize("separator", SEPARATORS)
def test_it_makes_one_line_of_each_record(separator: str) -> None:
    assert len(formatted("%s", f"rows{separator}{FORGED}").splitlines()) == 1


def test_it_sets_the_lines_of_a_trace_apart() -> None:
    try:
        raise ValueError(f"odd\n{FORGED}\r{FORGED}")
    except ValueError as error:
        first, *rest = formatted("It failed", error=error).splitlines()
    assert first.endswith(" It failed")
    assert len(rest) >= 4
    assert all(line.startswith("  | ") for line in rest)
    assert rest[-1] == f"  | {FORGED}\\r{FORGED}"


def test_it_sets_a_trace_apart_that_somebody_else_wrote_out() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "It failed", (), None)
    record.exc_text = FORGED
    assert Formatter("%(message)s").format(record) == f"It failed\n  | {FORGED}"


def test_it_hides_a_secret_before_it_is_written_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "canary\x1bkey\nof-two-lines")
    assert "canary" not in formatted("the key canary\x1bkey\nof-two-lines is refused")


def formatted(text: str, *arguments: object, error: BaseException | None = None) -> str:
    trace = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("jobs", logging.INFO, "", 1, text, arguments, trace)
    return Formatter("%(asctime)s %(message)s").format(record)


def test_no_secret_hides_when_a_line_was_written_and_by_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", {})
    redaction.redactor(["WARNING courier: plain"])
    record = logging.LogRecord("courier", logging.WARNING, "", 1, "said: WARNING courier: plain", None, None)
    assert Formatter("%(levelname)s %(name)s: %(message)s").format(record) == "WARNING courier: said: •••"
