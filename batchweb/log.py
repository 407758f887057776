"""The lines of several processes on one stream."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import IO

COLOURS = (36, 33, 35, 32, 34, 31)
# The token of a sign-in link, and the password in a URL.
SECRETS = re.compile(r"(sesame=|://[^\s:/@]*:(?=[^\s/@]+@))[^\s&\"'@]+")
# What ends a line somewhere, moves the cursor, turns text round, is not seen, or cannot be written.
ODD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
LONGEST = 65_536  # bytes of a line; what goes on is a line of its own


def escaped(text: str) -> str:
    """The text as one line that shows what it holds: odd characters as Python writes them, \\n or \\x1b."""
    return ODD.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Log:
    """Writes lines, each behind the name of the process that it comes from."""

    def __init__(self, out: IO[str]) -> None:
        self.out: IO[str] | None = out
        if isinstance(out, io.TextIOWrapper):  # a character that the terminal's encoding lacks must not end the log
            out.reconfigure(errors="backslashreplace")
        self.colour = out.isatty()
        self.names: list[str] = []
        self.rests: dict[int, bytes] = {}

    def write(self, name: str, line: str) -> None:
        """Writes one line of `name`, without the secrets that have a known shape."""
        self.say(self.prefix(name) + escaped(SECRETS.sub(r"\1…", line)))

    def say(self, line: str) -> None:
        """Writes the line as it is. When nobody reads any more, the system goes on without a log."""
        if self.out is None:
            return
        try:
            print(line, file=self.out, flush=True)
        except (OSError, ValueError):
            self.out = None

    def prefix(self, name: str) -> str:
        if name not in self.names:
            self.names.append(name)
        label = f"{name:<7} | "
        return f"\x1b[{COLOURS[self.names.index(name) % len(COLOURS)]}m{label}\x1b[0m" if self.colour else label

    def feed(self, name: str, source: int, data: bytes, hidden: Sequence[str] = ()) -> None:
        """Takes what was read from `source` and writes the lines that are complete. No data: the end.

        Leaves out blank lines and those that hold one of the `hidden` texts.
        """
        *lines, rest = (self.rests.pop(source, b"") + data).split(b"\n")
        if rest and (not data or len(rest) > LONGEST):
            lines.append(rest)
        elif rest:
            self.rests[source] = rest
        for text in (line.decode(errors="replace").rstrip() for line in lines):
            if text and not any(part in text for part in hidden):
                self.write(name, text)
