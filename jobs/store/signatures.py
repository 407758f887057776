"""When two failures are alike: what is left of a message without that which differs from item to item.

Each step looks at each character a bounded number of times, since a message is whatever somebody else's program says.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

ELSE: Final = "…"
LONGEST: Final = 2_000  # characters of a message that are looked at
TITLE: Final = 300
FRAME: Final = 200

QUOTES: Final = {"'": "'", '"': '"', "`": "`", "“": "”", "‘": "’", "„": "“”", "«": "»"}
# An apostrophe within a word opens nothing, nor does it close; a prefix as of b'…' belongs to what it stands before.
_OPENING: Final = re.compile(r"""(?<![\w])(?:[bBuUrRfF]{1,2}(?=['"]))?(?P<mark>['"`“‘„«])""")
_CLOSING: Final = {
    mark: re.compile(rf"(?:[^{ends}\\]|\\.|[{ends}](?=\w))*+[{ends}]", re.DOTALL) for mark, ends in QUOTES.items()
}
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}+\.?"
_DAY: Final = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}+,?\s)?"
_ZONE: Final = r"(?:\s?(?:z|utc|gmt|[ap]\.?m\.?|[+-]\d\d:?\d\d)(?![^\W_]))?"
_UNIT: Final = (
    r"(?:[nuµμm]?s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|d|days?|bytes?|[kmgt]i?b?|b|px|hz|[kmg]hz|%|°[cf]?|x"
    r"|st|nd|rd|th)"
)
_DIGITS: Final = r"\d++(?:[.,'’_\u00a0\u202f]\d++|\x20\d{3}(?!\d))*+(?:e[+-]?\d++)?"
# What begins here does not begin within a word or a number: else each character of a long word would be a beginning.
_START: Final = r"(?<![^\W_])"
_VARIABLE: Final = re.compile(
    rf"""
      (?P<address>(?<![\w.+-])(?:[a-z][a-z0-9+.-]{{1,20}}+://[^\s<>"'`]++|[\w.+-]++@[\w.-]++)
        | {_START}[a-z]:\\[^\s:,;"'<>|]++ | \\\\[^\s:,;"'<>|]++)
    | (?P<path>(?<![\w.~/\\-])[~.]{{0,2}}+/[^\s:,;()\[\]{{}}"'<>|]++)
    | {_START}{_DAY}(?:\d{{1,2}}\s{_MONTH}|{_MONTH}\s\d{{1,2}}(?!\d))(?:,?\s\d{{4}}(?!\d))?
    | {_START}\d{{4}}-\d\d-\d\d(?:[t\s]\d\d:\d\d(?::\d\d(?:[.,]\d++)?)?{_ZONE})?      # moment
    | {_START}\d{{1,2}}:\d\d(?::\d\d(?:[.,]\d++)?)?{_ZONE}(?![:\w])                   # time of day
    | (?<![\w:])(?=[a-f\d:]{{0,40}}[a-f\d])(?:[a-f\d]{{0,4}}:){{2,7}}[a-f\d]{{0,4}}(?:%\w++)?(?![\w:])  # IPv6, MAC
    | {_START}[0-9a-f]{{8}}(?:-[0-9a-f]{{4,}}+)++(?![^\W_])                           # UUID
    | {_START}[+-]?0[xob][0-9a-f]++(?![^\W_])                                         # number to another base
    | (?:(?<![\w)\]])[+\-−])?{_START}{_DIGITS}(?:\x20?{_UNIT}(?![^\W_]))?(?![^\W_])   # number with its unit
    | {_START}[0-9a-f]{{8,}}+(?![^\W_])                                               # hash
    | (?P<word>{_START}(?=[^\W\d_]{{0,200}}\d)[^\W_]++)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SEVERAL: Final = re.compile(rf"[-+−]?{ELSE}(?:[\s,;:/.×*-]{{0,3}}+{ELSE})++")
# No digit is left in the end, so which one it is makes no difference, and few lines are new.
_ZEROS: Final = str.maketrans("123456789", "000000000")
_FILE: Final = re.compile(r"\.\w{1,8}$|^/(?:tmp|var|home|Users)/")
_NAME: Final = re.compile(r"([^\W\d_][^\W\dA-Z_]*+)\d++")
_FRAME: Final = re.compile(r'^[ |+]*File "([^"\n]*+)", line \d++, in ([^\n]++)', re.MULTILINE)


def normalised(message: str) -> str:
    """The first line of a message without what differs from item to item: quotes, addresses, ids, dates, numbers.

    `no row 17 in 'a.csv'` becomes `no row … in …`.
    """
    line = message[:LONGEST].strip().split("\n", 1)[0]
    return _plain(_unquoted(" ".join(line.translate(_ZEROS).split())))


def signature(kind: str, message: str, frame: str = "") -> str:
    """What failures of one cause have in common, as 32 hexadecimal digits."""
    parts = "\0".join((kind, normalised(message), frame))
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:32]


def top_frame(trace: str, message: str = "") -> str:
    """Where it happened: the innermost function of a trace and its file, without the line. Empty where it has none.

    `message` is what the trace ends with; what looks like a frame in there is none.
    """
    said = message.removesuffix(ELSE)
    if "\n" in said and said in trace:
        trace = trace[: trace.rindex(said)]
    found = _FRAME.findall(trace)
    if not found:
        return ""
    file, function = found[-1]
    name = file.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{function.strip()} in {name}"[:FRAME]


@lru_cache(maxsize=1024)
def _plain(line: str) -> str:
    return _SEVERAL.sub(ELSE, _VARIABLE.sub(_replaced, line))[:TITLE]


def _unquoted(line: str) -> str:
    """The line without what stands in quotes. One that nobody closes reaches to the end where the line was cut."""
    kept: list[str] = []
    never: set[str] = set()
    at = 0
    while opening := _OPENING.search(line, at):
        mark = opening["mark"]
        closing = None if mark in never else _CLOSING[mark].match(line, opening.end())
        if closing:
            kept += line[at : opening.start()], ELSE
            at = closing.end()
        elif line.endswith(ELSE) or len(line) >= LONGEST - 1:
            return "".join((*kept, line[at : opening.start()], ELSE))
        else:
            never.add(mark)
            kept.append(line[at : opening.end()])
            at = opening.end()
    return "".join((*kept, line[at:]))


def _replaced(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "word":
        return _word(found[0])
    if kind is None:
        return ELSE
    # The sentence goes on after an address.
    text = found[0].rstrip(".,;:!?)]}")
    return (_path(text) if kind == "path" else ELSE) + found[0][len(text) :]


def _path(path: str) -> str:
    """Nothing of a file's path; of another one the words, as of `/users/17/orders`."""
    if _FILE.search(path):
        return ELSE
    return re.sub(rf"{_START}[^\W_]*\d\w*", ELSE, path)


def _word(word: str) -> str:
    """Of a name with a number the name, as of `item17`; nothing of an id."""
    name = _NAME.fullmatch(word)
    return f"{name[1]}{ELSE}" if name else ELSE
