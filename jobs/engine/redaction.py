"""Secrets blotted out of texts, however they are written there.

A secret turns up as it is, in addresses (`%2F`, `+`), as JSON or `repr` writes it (`\\u00e4`, `\\x2f`, `\\"`), in HTML
(`&amp;`), in base64 with or without something before it, in hexadecimal digits; and cut off at either end. So it is
looked for character by character, each in any of its spellings. Work grows with the text, whatever stands in it.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from html.entities import codepoint2name
from threading import Lock
from typing import Any, Final, NamedTuple, TextIO

BLOT: Final = "•••"
SHORTEST: Final = 4  # characters; a shorter secret is blotted out only where it stands as a word of its own
WHOLE: Final = 8  # of a shorter one only the whole is looked for, of others a piece
PIECE: Final = 12  # so many characters of a long secret are a piece of it; of one that was cut off, four
LINE: Final = 8  # characters of a line that is a secret of its own, of one with several lines
LONGEST: Final = 14  # characters that the longest spelling of one character has
MOST: Final = 16  # redactors that are remembered for what a process says itself

_SLASH = r"\\"
_SLASHES = _SLASH + "{1,8}+"  # JSON within JSON doubles them
# Where a line was broken within it: at some width, as in quoted-printable, indented as YAML does it, or as JSON has it.
_BREAK = rf"(?:=?\r?\n[ \t]{{0,16}}+|{_SLASHES}n)?+"
_BREAK_BACKWARDS = rf"(?:[ \t]{{0,16}}+\n\r?=?|n{_SLASHES})?+"
# The character of base64 that holds bits of the first or the last byte beside what stands next to it.
_SHARED = "[A-Za-z0-9+/_-]"
_CUT = r"""(?=["')\]]{0,3}+\s{0,3}+(?:\Z|…|\.\.))"""


class Unit(NamedTuple):
    """Patterns for all spellings of one character, read forwards and backwards."""

    forwards: str
    backwards: str


class Form:
    """One way in which a secret is written, in one direction: its beginning as a pattern, then unit by unit."""

    def __init__(self, units: list[str]) -> None:
        long = len(units) >= WHOLE
        size = min(PIECE, max(6, len(units) // 2)) if long else len(units)
        self.head = "".join(units[:size])
        self.beginning = re.compile(self.head)
        self.rest = units[size:]
        least = min(SHORTEST, len(units))
        nested = ""
        for unit in reversed(units[least : max(least, size - 1)]):
            nested = f"(?:{unit}{nested})?"
        self.cut = "".join(units[:least]) + nested + _CUT

    def end(self, text: str, start: int) -> int:
        """Where the longest piece of the secret ends that begins at `start`; `start` itself where there is none."""
        found = self.beginning.match(text, start)
        if found is None:
            return start
        at = found.end()
        for unit in self.rest:
            found = _compiled(unit).match(text, at)
            if found is None:
                break
            at = found.end()
        return at


class Reader:
    """All forms of all secrets in one direction."""

    def __init__(self, forms: list[Form]) -> None:
        self.forms = forms
        self.heads = re.compile("|".join(form.head for form in forms))
        self.cuts = re.compile("|".join(form.cut for form in forms))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where pieces of secrets stand."""
        at = 0
        while found := self.heads.search(text, at):
            start = found.start()
            at = max(form.end(text, start) for form in self.forms)
            yield start, at
        for found in self.cuts.finditer(text):
            yield found.span()


class Redactor:
    """Blots `secrets` out of texts. Equal ones are made once, see `redactor`."""

    def __init__(self, secrets: Iterable[str], blot: str = BLOT) -> None:
        known = sorted({part for secret in secrets for part in _parts(secret)}, key=len, reverse=True)
        self.blot = blot
        forms = [form for secret in known if len(secret) >= SHORTEST for form in _forms(secret)]
        forwards = [[unit.forwards for unit in form] for form in forms]
        backwards = [[unit.backwards for unit in form[::-1]] for form in forms]
        self.forwards = Reader([Form(list(filter(None, units))) for units in forwards]) if forms else None
        self.backwards = Reader([Form(list(filter(None, units))) for units in backwards]) if forms else None
        words = "|".join(re.escape(secret) for secret in known if len(secret) < SHORTEST)
        self.words = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None
        # A text that is longer than what is kept of it is looked at a little beyond that.
        self.margin = LONGEST * max(map(len, known), default=0)

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        if self.forwards and self.backwards and text:
            size = len(text)
            spans = [*self.forwards.spans(text)]
            spans += [(size - end, size - start) for start, end in self.backwards.spans(text[::-1])]
            text = _without(text, spans, self.blot)
        return self.words.sub(self.blot, text) if self.words else text

    def cut(self, text: str, size: int, *, keep_end: bool = False) -> str:
        """As much of the text without the secrets as can be needed for `size` characters of it.

        Most of a huge text is not even looked at; what the first cut leaves of a secret is blotted out as such.
        """
        most = 4 * size + self.margin
        if len(text) > most:
            text = text[-most:] if keep_end else text[:most]
        return self.redact(text)


NOTHING: Final = Redactor(())
_known: dict[frozenset[str], Redactor] = {}
_adding = Lock()


def redactor(secrets: Iterable[str]) -> Redactor:
    """The redactor of these secrets. From now on `everywhere` blots them out, too."""
    global _known
    key = frozenset(secrets)
    found = _known.get(key)
    if not key:
        return NOTHING
    if found is None:
        found = Redactor(key)
        with _adding:
            # Another thread may read it meanwhile. The oldest goes: what ran with it has long ended.
            _known = dict([*_known.items(), (key, found)][-MOST:])
    return found


def everywhere(text: str) -> str:
    """The text without the secrets that this process worked with of late; for what it writes itself.

    Not for what people read: whoever has a guess blotted out, that was somebody else's secret, knows it.
    """
    return _all(frozenset().union(*_known)).redact(text)


@lru_cache(maxsize=2)
def _all(secrets: frozenset[str]) -> Redactor:
    # One for all: a piece that one of several redactors blots out would keep the next from knowing the rest.
    return Redactor(secrets)


class Written:
    """A stream that writes what is written to it, without the secrets that this process works with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes it, and says that all of it was written."""
        self._stream.write(everywhere(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_output() -> None:
    """From now on nothing that is printed in this process tells its secrets."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Written):
            setattr(sys, name, Written(stream))


def redactor_of(process: Any) -> Redactor:
    """The redactor that what is called for each item brings along as its attribute `redactor`."""
    found = getattr(process, "redactor", None)
    return found if isinstance(found, Redactor) else NOTHING


def _without(text: str, spans: list[tuple[int, int]], blot: str) -> str:
    pieces, at, blotted = [], 0, -1
    for start, end in sorted(spans):
        if start > blotted:  # else it overlaps or touches the one before
            pieces += [text[at:start], blot]
        at = blotted = max(blotted, end)
    return "".join([*pieces, text[at:]])


def _parts(secret: str) -> Iterator[str]:
    """The secret as it is read from a file or pasted, and each line of one with several."""
    if stripped := secret.strip():
        yield stripped
    lines = [line.strip() for line in stripped.splitlines()]
    yield from (line for line in lines if len(line) >= LINE)


def _forms(secret: str) -> Iterator[list[Unit]]:
    units = [_unit(char) for char in re.sub(r"\\+", r"\\", secret)]  # one unit takes any number of backslashes
    # A break within a secret that has such characters itself could be either; its lines are looked for by themselves.
    yield units if set(secret) & set("\r\n\\") else [*map(_broken, units[:-1]), units[-1]]
    raw = secret.encode("utf-8", "replace")
    yield [unit for byte in raw for unit in _digits(f"{byte:02x}")]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        text = text[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6]
        if len(text) >= SHORTEST:
            before = [Unit("", f"(?:{_SHARED})?+")] if shift else []
            after = [Unit(f"(?:{_SHARED}={{0,2}}+)?+", "")] if 8 * (shift + len(raw)) % 6 else []
            yield [*before, *map(_symbol, text), *after]


def _broken(unit: Unit) -> Unit:
    return Unit(unit.forwards + _BREAK, _BREAK_BACKWARDS + unit.backwards)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def _unit(char: str) -> Unit:
    """A character in any spelling, in capitals or not."""
    forwards, backwards = _spellings([char])
    return Unit(f"(?i:{forwards})", f"(?i:{backwards})")


@cache
def _digits(byte: str) -> tuple[Unit, Unit]:
    """The hexadecimal digits of a byte, set apart from the next one or not."""
    first, second = f"(?i:{byte[0]})", f"(?i:{byte[1]})"
    return Unit(first, first), Unit(f"{second}[ :-]?+", f"[ :-]?+{second}")


@cache
def _symbol(char: str) -> Unit:
    """A character of base64, of either alphabet, at the beginning of a line or not."""
    alike = {"+": "+-", "/": "/_"}.get(char, char)
    if char.isalnum():
        return Unit(f"{char}(?:\r?\n|{_SLASHES}n)?+", f"(?:\n\r?|n{_SLASHES})?+{char}")
    forwards, backwards = _spellings(list(alike))
    return Unit(f"(?i:{forwards})", f"(?i:{backwards})")


def _spellings(chars: list[str]) -> tuple[str, str]:
    plain = sorted({way for char in chars for way in _plain(char)}, key=len, reverse=True)
    escaped = sorted({way for char in chars for way in _escaped(char)}, key=lambda way: len("".join(way)), reverse=True)
    forwards = [*map(re.escape, plain), *map(_behind, escaped)]
    backwards = [re.escape(way[::-1]) for way in plain] + [_behind(way, backwards=True) for way in escaped]
    if "\\" in chars:
        several = [f"(?:{'|'.join(ways)}|{_SLASH}){{1,16}}+" for ways in (forwards, backwards)]
        return several[0], several[1]
    return "|".join(forwards), "|".join(backwards)


def _plain(char: str) -> Iterator[str]:
    """Spellings without a backslash: as it is, in addresses (also of addresses in addresses), in HTML."""
    code = ord(char)
    if char != "\\":
        yield char
    for raw in _bytes(char):
        for percent in ("%", "%25", "%2525"):
            yield "".join(f"{percent}{byte:02x}" for byte in raw)
    if not char.isascii() or not char.isalnum():
        yield from _quoted_printable([f"={byte:02x}" for byte in char.encode("utf-8", "replace")])
    for entity in (f"#{code};", f"#x{code:x};", f"{codepoint2name.get(code, f'#{code}')};"):
        yield from ("&" + entity, "&amp;" + entity)
    if code > 127:
        yield char.encode("utf-8", "replace").decode("latin-1")
    yield from {" ": ("+", "%2b"), "\n": ("\r\n",)}.get(char, ())


def _quoted_printable(parts: list[str]) -> Iterator[str]:
    """The bytes of a character, with the end of a line somewhere between them or not."""
    yield "".join(parts)
    for at in range(1, len(parts)):
        yield from ("".join([*parts[:at], end, *parts[at:]]) for end in ("=\n", "=\r\n"))


def _behind(way: tuple[str, ...], backwards: bool = False) -> str:
    """A pattern of the parts of an escaped character, each with its backslash, or with several where that is quoted."""
    if backwards:
        return "".join(re.escape(part[::-1]) + _SLASHES for part in way[::-1])
    return "".join(_SLASHES + re.escape(part) for part in way)


def _escaped(char: str) -> Iterator[tuple[str, ...]]:
    """What stands behind backslashes, one part behind each."""
    code = ord(char)
    if not char.isalnum() and char != "\\" and char.isprintable():
        yield (char,)
    units = char.encode("utf-16-be", "surrogatepass").hex()
    yield tuple(f"u{units[at : at + 4]}" for at in range(0, len(units), 4))
    yield (f"U{code:08x}",)
    for raw in _bytes(char):
        yield tuple(f"x{byte:02x}" for byte in raw)
    yield from {"\n": (("n",), ("r", "n")), "\r": (("r",),), "\t": (("t",),)}.get(char, ())


def _bytes(char: str) -> set[bytes]:
    """The character in UTF-8 and, where it has one, in Latin-1."""
    return {char.encode("utf-8", "replace"), char.encode("latin-1", "ignore") or char.encode("utf-8", "replace")}
