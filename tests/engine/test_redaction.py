"""A secret in all its spellings, whole or cut off."""

from __future__ import annotations

import base64
import html
import io
import json
import quopri
import sys
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from jobs.engine import Failure, redaction
from jobs.engine.failures import MESSAGE_BYTES, TRACE_BYTES, describe
from jobs.engine.redaction import NOTHING, Redactor, Written, everywhere, redactor

SECRETS = (
    "hunter22", "sk-proj-4f9Qz+7/Lk=mWx8Rt2", 'pä"ss \\wörd\\\\/&<é>', "😀emoji😀key", "correct horse battery staple",
    "1234567890123456", "%2Fodd%", "a", "xyz", "tab\there",
)  # fmt: skip


def encoded(text: str) -> Iterator[str]:
    """The text in base64 of both alphabets, with padding and without, in lines, in an address."""
    raw = text.encode()
    for made in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        yield from (made, made.rstrip("="), quote(made, safe=""), made.replace("/", "\\/"))
    yield base64.encodebytes(raw).decode()
    yield json.dumps(base64.encodebytes(raw).decode())


def spellings(secret: str) -> Iterator[str]:
    yield from (secret, secret + "\n", secret + "\r\n", f"Bearer {secret}", secret.upper(), secret.lower())
    for way in (quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="!$&'()*+,;=:@/ ")):
        yield from (way, way.lower(), quote(way, safe=""))
    yield "".join(f"%{byte:02X}" for byte in secret.encode())
    yield from (json.dumps(secret), json.dumps(secret, ensure_ascii=False), json.dumps(json.dumps({"key": secret})))
    yield json.dumps(secret).replace("/", "\\/")
    yield "".join(f"\\u{ord(char):04X}" for char in secret if ord(char) < 0x10000)
    yield from (html.escape(secret), "".join(f"&#{ord(char)};" for char in secret))
    yield from (repr(secret), ascii(secret), repr(secret.encode()), repr([secret + "\n"]), repr(repr(secret)))
    yield from (secret.encode().hex(), secret.encode().hex().upper(), secret.encode().decode("latin-1"))


def readings(text: str) -> Iterator[str]:
    """What somebody makes of a text who looks for a secret in it."""
    yield text
    yield html.unescape(text)


def told(secret: str, text: str) -> bool:
    """Whether five characters of the secret in a row can be read in the text, in any of the ways to write it."""
    size = min(len(secret), 5)
    pieces = {secret[at : at + size].lower() for at in range(len(secret) - size + 1)}
    return any(piece in one.lower() for one in readings(text) for piece in pieces)


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(secret) >= 4])
def test_it_blots_out_every_spelling(secret: str) -> None:
    for way in spellings(secret):
        if secret.startswith("😀") and "\\u" in way and "\\ud83d" not in way and json.loads(f'"{way}"') != secret:
            continue  # a spelling without its first character
        for text in (f"before {way} after", f"{way} after", f"before {way}", f'{{"x": "{way}", "y": 1}}', way * 2):
            found = Redactor([secret]).redact(text)
            assert "•••" in found, (way, found)
            rest = found.replace("•••", "").replace("before", "").replace("after", "")
            assert sum(map(str.isalnum, rest)) < len("Bearer key x y 1 n n b b"), (way, found)
            assert not told(secret, found), (way, found)


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(secret) >= 4])
@pytest.mark.parametrize("user", ["", "u", "us", "usr", "user", "a longer name:"])
def test_it_finds_it_in_base64_behind_anything(secret: str, user: str) -> None:
    for before, after in ((user, ""), (f"{user}:", ""), (f"{user}:", ":more behind")):
        for way in encoded(before + secret + after):
            found = Redactor([secret]).redact(f"Authorization: Basic {way}")
            rest = found.replace("\\n", "").replace("\\r", "").removeprefix("Authorization: Basic ")
            assert "•••" in found, (way, found)
            pieces = (piece.strip('"\n\r').replace("%3D", "=").rstrip("=") for piece in rest.split("•••"))
            for piece in pieces:
                for shift in range(4):
                    part = piece[shift:][: len(piece[shift:]) // 4 * 4]
                    raw = base64.b64decode(part.replace("-", "+").replace("_", "/") + "==") if part.isalnum() else b""
                    assert not told(secret, raw.decode("latin-1")), (way, found)


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(secret) >= 4])
def test_it_leaves_no_bit_of_it_in_base64(secret: str) -> None:
    for way in encoded(secret):
        found = Redactor([secret]).redact(f"({way.strip()})").replace("%3D", "").replace("\\n", "")
        assert found in ("(•••)", '("•••")', "(•••=)"), way


@pytest.mark.parametrize("secret", ["sk-proj-4f9Qz+7/Lk=mWx8Rt2", "correct horse battery staple", "hünter" * 40])
def test_it_blots_out_what_is_broken_into_lines(secret: str) -> None:
    ways = [quopri.encodestring(secret.encode()).decode(), secret.encode().hex(" "), secret.encode().hex(":")]
    for width in (4, 10, 76):
        for end in ("\n", "\r\n", "\n    ", "=\n", "\\n"):
            ways.append(end.join(secret[at : at + width] for at in range(0, len(secret), width)))
    for way in ways:
        assert Redactor([secret]).redact(f"({way})") == "(•••)", way


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(secret) >= 12])
def test_it_blots_out_what_a_cut_left(secret: str) -> None:
    for size in range(4, len(secret)):
        for text in (secret[:size], f"bad: {secret[:size]}…", f"'{secret[:size]}...' is bad", f"({secret[:size]}"):
            assert secret[:4] not in Redactor([secret]).redact(text), text
        for text in (secret[-size:], f"…{secret[-size:]} is bad", f"...{secret[-size:]}"):
            assert secret[-4:] not in Redactor([secret]).redact(text), text


def test_it_blots_out_a_large_piece_anywhere() -> None:
    secret = "abcdefghijklmnopqrstuvwxyz0123456789"
    for piece in (secret[:12], secret[:30], secret[-12:], secret[-30:]):
        assert Redactor([secret]).redact(f"x {piece} y") == "x ••• y"


def test_it_leaves_everything_else_alone() -> None:
    text = "GET https://api.example.com/v1?q=%C3%A4 → 401 “unauthorised” \\u00e4 c2VjcmV0 &amp; 73656372"
    assert Redactor(SECRETS[:4]).redact(text) == text


def test_it_blots_out_a_short_secret_as_a_word_only() -> None:
    assert Redactor(["xyz", "7"]).redact("xyz, xyzzy, 7 of 17") == "•••, xyzzy, ••• of 17"


def test_it_blots_out_the_lines_of_a_secret_with_several() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w\n0BAQEFAASCBKcwggSjAgEA\n-----END KEY-----\n"
    for text in (key, key.replace("\n", "\n    "), json.dumps(key), key.replace("\n", "\r\n")):
        found = Redactor([key]).redact(text)
        assert "MIIE" not in found
        assert "AgEA" not in found


def test_it_blots_out_secrets_that_overlap() -> None:
    made = Redactor(["abcdefghij", "hijklmnopq", "abcdefghijkl-longer"])
    assert made.redact("abcdefghijklmnopq abcdefghijkl-longer") == "••• •••"


def test_it_ignores_an_end_of_line_around_a_secret() -> None:
    assert Redactor(["hunter22\n"]).redact("hunter22 x") == "••• x"


def test_it_finds_nothing_where_there_is_no_secret() -> None:
    assert [Redactor(given).redact("a b") for given in ((), ("",), (" ",))] == ["a b"] * 3


@pytest.mark.parametrize(
    ("secret", "text"),
    [("\\" * 50 + "a", "\\"), ("a" * 2_000, "a"), ("a" * 2_000 + "b", "a"), ("ab" * 500, "ab"), ("%" * 100, "%25"),
     ("hunter22", "hunter2"), ("hunter22", "\\u0068"), ("aaaa\naaaa", "a"), ("hunter22", "aHVudG")],
)  # fmt: skip
def test_its_work_grows_with_the_text(secret: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(size: int) -> int:
        made, count = Redactor([secret]), 0

        def counted(_: object, event: str, __: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(counted)
        try:
            made.redact(text * (size // len(text)))
        finally:
            sys.setprofile(None)
        return count

    steps(4_000)
    assert steps(16_000) <= 5 * steps(4_000) + 100


# What the engine cuts


class Leaky(Exception):
    pass


SECRET = "sk-canary-0123456789-abcdefghijklmnopqrstuvwxyz"
BLOT = Redactor([SECRET])


def leaks(failure: Failure) -> list[str]:
    pieces = {SECRET[at : at + 5] for at in range(len(SECRET) - 4)}
    return [text for text in (failure.kind, failure.message, failure.trace) if any(piece in text for piece in pieces)]


def test_it_blots_out_before_a_message_is_cut() -> None:
    for at in range(MESSAGE_BYTES - 2 * len(SECRET), MESSAGE_BYTES + 5):
        found = describe(Leaky("." * at + SECRET + "." * 10_000), BLOT)
        assert not leaks(found), (at, found.message[-80:])


def test_it_blots_out_before_a_huge_text_is_cut() -> None:
    for many in (SECRET * 2_000, (SECRET + " ") * 2_000, "é" * 30_000 + SECRET * 100):
        found = describe(Leaky(many), BLOT)
        assert not leaks(found)
        assert len(found.message.encode()) <= MESSAGE_BYTES
        assert len(found.trace.encode()) <= TRACE_BYTES


def chained(at: int) -> None:
    try:
        raise ValueError("x" * (at % 3_000) + SECRET)
    except ValueError as first:
        raise Leaky("." * at + SECRET) from first


def test_it_blots_out_before_a_trace_is_cut() -> None:
    for at in range(0, 12_000, 17):
        with pytest.raises(Leaky) as raised:
            chained(at)
        assert not leaks(describe(raised.value, BLOT)), at


def test_it_blots_out_notes_kinds_and_groups() -> None:
    error = ExceptionGroup("many", [ValueError(SECRET), KeyError(SECRET)])
    error.add_note(f"seen with {SECRET!r}")
    error.failure_kind = f"refused {SECRET}"  # type: ignore[attr-defined]
    found = describe(error, BLOT)
    assert not leaks(found)
    assert found.kind == "refused •••"


def test_it_describes_as_before_without_secrets() -> None:
    assert describe(Leaky("x"), NOTHING).message == "x"


# What a process writes


def test_it_knows_the_secrets_that_a_process_works_with() -> None:
    redactor(["canary-of-this-process"])
    assert everywhere("login canary-of-this-process") == "login •••"


def test_it_remembers_a_bounded_number_of_them() -> None:
    for at in range(redaction.MOST + 5):
        redactor([f"canary-number-{at:04}"])
    assert len(redaction._known) == redaction.MOST
    assert everywhere(f"canary-number-{redaction.MOST + 4:04}") == "•••"


def test_it_makes_equal_ones_once() -> None:
    assert redactor(["canary-one"]) is redactor(["canary-one"])


def test_it_writes_without_secrets() -> None:
    redactor(["canary-written"])
    stream = io.StringIO()
    written = Written(stream)
    assert written.write("a canary-written b\n") == len("a canary-written b\n")
    written.writelines(["x\n", "canary-written\n"])
    assert stream.getvalue() == "a ••• b\nx\n•••\n"
    assert not written.isatty()
