"""Rows of one JSON document: an array, or an object that holds one. Cut into its values as it is read.

The standard library's decoder takes value after value out of a sliding piece of text, so that a payload is the value's
own text (10.50 stays 10.50) and an undecodable byte costs its row, not the file. ijson can do neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import Any

from jobs.files.jsonlines import SPACE, VALUES, Columns, bad, decoder, has_too_many, judged, over, row
from jobs.files.lines import Lines
from jobs.files.shape import LONG, SAMPLE, Limits, Reason, Row, Shape, Unreadable

PIECE = 1 << 17  # characters
LOST = 4  # times the limit on a row, after which its end is looked for no more
NEAR = 16  # an error so near to the end of the text may come from the end alone: the longest word is -Infinity

_SPACE = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r"""["\[\]{},]""")
_INNER = re.compile(r"""["\[\]{}]""")
_QUOTED = re.compile(r'["\\]')
_BREAK = re.compile(r"(?<![ \t])[ \t]*+[\r\n][ \t\r\n]*+")  # outside of strings, for no string may hold one

SEVERAL = "The JSON document holds more than one array of rows; save one of them as a file."

_scan = decoder.raw_decode


class Ended(Exception):
    """The document ended inside a value."""


class Window:
    """A piece of the document's text that slides on; `at` is where reading goes on in it."""

    def __init__(self, lines: Lines, longest: int) -> None:
        self._lines = lines
        self._longest = longest
        self.text = ""
        self.at = 0
        self._ended = False
        self._back: list[tuple[str, int]] = []

    def grow(self) -> bool:
        """Makes the piece at least twice as long; False at the end, and where a value would get too long."""
        left = len(self.text) - self.at
        if self._ended or left > self._longest:
            return False
        more = self._read(max(PIECE, left))
        if not more:
            self._ended = True
            return False
        self.text, self.at = self.text[self.at :] + more, 0
        return True

    def _read(self, size: int) -> str:
        """The text that comes next, first of what was put back."""
        if not self._back:
            return self._lines.read(size)
        text, at = self._back.pop()
        if at + size < len(text):
            self._back.append((text, at + size))
        return text[at : at + size]

    def settle(self) -> None:
        """Puts back what was read for a long value and is not needed for short ones.

        An error of the decoder counts the line breaks before it, so what stands before has to be short.
        """
        if len(self.text) > 2 * PIECE and self.at < len(self.text):
            self._back.append((self.text[self.at :], 0))
            self.text, self.at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no space, and goes to it; empty at the end."""
        while True:
            self.at = _end_of_space(self.text, self.at)
            if self.at < len(self.text) or not self.grow():
                return self.text[self.at : self.at + 1]

    def second(self) -> str:
        """The character behind the next one that is no space; stays where it is."""
        while True:
            at = _end_of_space(self.text, self.at + 1)
            if at < len(self.text) or not self.grow():
                return self.text[at : at + 1]

    def decode(self) -> tuple[Any, int]:
        """The value that begins here, and where it ends. Raises ValueError or RecursionError.

        Also where it may hold too many values, as far as it is here: half of it would take memory, too.
        """
        while True:
            if has_too_many(self.text, self.at):
                raise ValueError("too many values")
            try:
                value, end = _scan(self.text, self.at)
            except json.JSONDecodeError as error:
                if not (_may_go_on(error) and self.grow()):
                    raise
                continue
            # What stands at the end may be the first half of a number.
            if end < len(self.text) or not self.grow():
                return value, end

    def take(self, expected: str) -> bool:
        """Goes over the next character where it is the one expected."""
        found = self.peek() == expected
        self.at += found
        return found

    def pieces(self) -> Iterator[str]:
        """The text up to the end of the value, told by brackets and quotes only. Raises Ended."""
        depth, quoted, start = 0, False, self.at
        while True:
            found = (_QUOTED if quoted else _INNER if depth else _STRUCTURE).search(self.text, self.at)
            if found is None or (found[0] == "\\" and found.end() == len(self.text)):
                self.at = found.start() if found else len(self.text)
                yield self.text[start : self.at]
                if not self.grow():
                    raise Ended
                start = 0
                continue
            mark = found[0]
            if depth == 0 and mark in ",]}":
                self.at = found.start()
                yield self.text[start : self.at]
                return
            depth += (mark in "[{") - (mark in "]}")
            quoted ^= mark == '"'
            self.at = found.end() + (mark == "\\")


class Document:
    """The rows of the document that these lines hold, new keys go to `columns`."""

    def __init__(self, lines: Lines, shape: Shape, limits: Limits, columns: Columns) -> None:
        self._window = Window(lines, limits.row_bytes)
        self._shape = shape
        self._limits = limits
        self._columns = columns
        self._number = 0

    def rows(self) -> Iterator[Row]:
        """The values of the array. Raises Unreadable where there is none, or no telling where a row ends."""
        if self._shape.path:
            self._find(self._shape.path)
        if not self._window.take("["):
            raise Unreadable("The file is no JSON document that holds an array of rows.")
        if not self._window.take("]"):
            yield from self._values()
        if self._shape.path:
            self._pass_rest()
        if self._window.peek():
            raise Unreadable(f"The JSON document goes on after its end, behind row {self._number:,}.")

    def _values(self) -> Iterator[Row]:
        while True:
            self._number += 1
            self._window.settle()
            self._window.peek()
            try:
                yield self._row()
            except Ended:
                raise Unreadable(f"The JSON document ends in the middle, in row {self._number:,}.") from None
            if self._window.take("]"):
                return
            if not self._window.take(","):
                raise Unreadable(f"The JSON document breaks after row {self._number:,}: a comma is missing.")
            # A comma too many behind the last row is no row.
            if self._window.take("]"):
                return

    def _row(self) -> Row:
        window = self._window
        try:
            value, end = window.decode()
        except (ValueError, RecursionError):
            return self._odd()
        text, window.at = window.text[window.at : end], end
        if len(text) > self._limits.row_bytes // 4 and self._is_long(text):
            return self._long(text)
        return judged(_on_one_line(text), value, over(text, value, self._limits), self._shape, self._columns)

    def _odd(self) -> Row:
        """A value that the decoder refuses: where it ends is told by its brackets."""
        kept, size = [], 0
        for piece in self._window.pieces():
            if size <= self._limits.row_bytes:
                kept.append(piece)
            size += len(piece)
            if size > LOST * self._limits.row_bytes:
                raise Unreadable(f"Row {self._number:,} of the JSON document does not end within {size:,} characters.")
        text = "".join(kept).strip(SPACE)
        if size > self._limits.row_bytes or self._is_long(text):
            return self._long(text)
        return row(text, self._shape, self._limits, self._columns)

    def _is_long(self, text: str) -> bool:
        return len(text.encode("utf-8", "surrogatepass")) > self._limits.row_bytes

    def _long(self, text: str) -> Row:
        return bad(text, Reason(LONG, f"is longer than {self._limits.row_bytes:,} bytes"))

    def _find(self, path: str) -> None:
        """Goes to the array under this key."""
        if not self._window.take("{") or self._window.peek() == "}":
            return
        while self._key() != path or self._window.peek() != "[":
            self._pass_value()
            if not self._window.take(","):
                return

    def _pass_rest(self) -> None:
        while self._window.take(","):
            self._key()
            if self._window.peek() == "[" and self._window.second() == "{":
                raise Unreadable(SEVERAL)
            self._pass_value()
        if not self._window.take("}"):
            raise Unreadable(f"The JSON document breaks after row {self._number:,}, behind its rows.")

    def _key(self) -> str:
        self._window.peek()
        try:
            key, self._window.at = self._window.decode()
        except (ValueError, RecursionError):
            key = None
        if not isinstance(key, str) or not self._window.take(":"):
            raise Unreadable("The JSON document breaks outside of its rows.")
        return key

    def _pass_value(self) -> None:
        self._window.peek()
        try:
            for _ in self._window.pieces():
                pass
        except Ended:
            raise Unreadable("The JSON document ends in the middle, outside of its rows.") from None


def find(text: str) -> str | None:
    """Under which key of the document that begins with this text its rows are: empty where the document is an array.

    None where this is no such document. Raises Unreadable where it holds several arrays of objects.
    """
    if has_too_many(text):
        text = text[:VALUES]  # that few characters hold no more
    at = _end_of_space(text, 0)
    if text[at : at + 1] == "[":
        return "" if _begins_array(text, at) else None
    found = [key for key, objects in _arrays(text, at) if objects]
    if len(found) > 1:
        raise Unreadable(SEVERAL)
    return found[0] if found else next((key for key, _ in _arrays(text, at)), None)


def first_columns(text: str, path: str, limits: Limits) -> tuple[str, ...]:
    """The keys of the first rows, as far as the text goes."""
    columns = Columns((), limits.columns)
    shape = Shape("json", "utf-8", path=path)
    lines = Lines(BytesIO(text.encode("utf-8", "surrogatepass")), "utf-8", limits.row_bytes)
    with suppress(Unreadable):
        for _ in islice(Document(lines, shape, limits, columns).rows(), SAMPLE):
            pass
    return columns.names()


def _begins_array(text: str, at: int) -> bool:
    """Whether a first value follows the bracket, and then a comma or the end of the document."""
    first = _end_of_space(text, at + 1)
    if text[first : first + 1] in ("]", "{", ""):
        return text[first : first + 1] != "]" or not text[first + 1 :].strip(SPACE)
    end = _end_of_value(text, first)
    if end is None:
        return len(text) - first > PIECE
    end = _end_of_space(text, end)
    return text[end : end + 1] in (",", "") or (text[end] == "]" and not text[end + 1 :].strip(SPACE))


def _arrays(text: str, at: int) -> Iterator[tuple[str, bool]]:
    """The keys of an object's arrays, and whether there are objects in them, as far as the text goes."""
    while text[at : at + 1] in ("{", ","):
        start = _end_of_space(text, at + 1)
        end = _end_of_value(text, start)
        colon = _end_of_space(text, end or len(text))
        if end is None or text[start] != '"' or text[colon : colon + 1] != ":":
            return
        at = _end_of_space(text, colon + 1)
        if text[at : at + 1] == "[":
            first = _end_of_space(text, at + 1)
            yield json.loads(text[start:end]), text[first : first + 1] == "{"
        at = _end_of_space(text, _end_of_value(text, at) or len(text))


def _end_of_value(text: str, at: int) -> int | None:
    try:
        return _scan(text, at)[1]
    except RecursionError:
        return len(text)
    except ValueError:
        return None


def _end_of_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _may_go_on(error: json.JSONDecodeError) -> bool:
    """Whether only the end of the text may be to blame."""
    return error.msg.startswith("Unterminated") or error.pos >= len(error.doc) - NEAR


def _on_one_line(text: str) -> str:
    """The same value without line breaks, so that it is a line of JSON Lines."""
    return _BREAK.sub("", text) if "\n" in text or "\r" in text else text
