"""The lines of several processes on one stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO

COLOURS = (36, 33, 35, 32, 34, 31)
# The token of a sign-in link, and the password in a URL.
SECRETS = re.compile(r"(sesame=|://[^\s:/@]*:(?=[^\s/@]+@))[^\s&\"'@]+")


class Log:
    """Writes lines, each behind the name of the process that it comes from."""

    def __init__(self, out: IO[str]) -> None:
        self.out: IO[str] | None = out
        self.colour = out.isatty()
        self.names: list[str] = []
        self.rests: dict[int, bytes] = {}

    def write(self, name: str, line: str) -> None:
        """Writes one line of `name`, without the secrets that have a known shape."""
        self.say(self.prefix(name) + SECRETS.sub(r"\1…", line))

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
        if rest and not data:
            lines.append(rest)
        elif rest:
            self.rests[source] = rest
        for text in (line.decode(errors="replace").rstrip() for line in lines):
            if text and not any(part in text for part in hidden):
                self.write(name, text)
