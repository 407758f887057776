"""Which bytes are text, and in which encoding."""

from __future__ import annotations

import codecs
import re

from jobs.files.payload import first_surrogate
from jobs.files.shape import Unreadable

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAGIC = (
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "an Excel workbook or another zip archive; save the sheet as CSV first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document; save the sheet as CSV first"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3\0", "a database"),
    (b"\x7fELF", "a program"),
)
# What no text holds: control characters without TAB, LF, VT, FF, CR, ESC and the separators 0x1c to 0x1f.
_ODD = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f")
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def detect(head: bytes, complete: bool, encoding: str = "") -> str:
    """The codec that reads this file. Raises Unreadable where it is no text, or not in an encoding that is read."""
    for start, what in MAGIC:
        if head.startswith(start):
            raise Unreadable(f"The file is {what}.")
    if encoding:
        return _known(encoding)
    for bom, name in BOMS:
        if head.startswith(bom):
            return _with_bom(name)
    _refuse_binary(head)
    _refuse_other_encoding(head, complete)
    return "utf-8"


def decode(head: bytes, encoding: str, complete: bool) -> str:
    """The head as text; undecodable bytes become lone surrogates, a character cut in half at the end is left out."""
    errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
    try:
        return codecs.getincrementaldecoder(encoding)(errors).decode(head, complete)
    except UnicodeError:
        raise Unreadable(f"The file is not valid {title(encoding)}.") from None


def undecodable(text: str, encoding: str) -> str:
    """Why this text, read with lone surrogates in place of undecodable bytes, cannot be used."""
    code = ord(first_surrogate(text))
    if 0xDC80 <= code <= 0xDCFF and not encoding.startswith("utf-16"):
        return f"is not valid {title(encoding)}: byte 0x{code - 0xDC00:02X}"
    return f"is not valid {title(encoding)}: 0x{code:04X} is half a character"


def title(encoding: str) -> str:
    """The codec's name as people write it."""
    return encoding.upper().removesuffix("-SIG")


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        raise Unreadable(f"The encoding {encoding[:40]!r} is not known.") from None


def _with_bom(name: str) -> str:
    if name == "utf-32":
        raise Unreadable("The file is UTF-32; save it as UTF-8.")
    return name


def _refuse_binary(head: bytes) -> None:
    odd = len(head) - len(head.translate(None, _ODD))
    # One stray control character in a row is that row's matter.
    if odd * 4 > len(head) or odd > 3 + len(head) // 100:
        if _looks_like_utf16(head[:256]):
            raise Unreadable("The file looks like UTF-16 without a byte order mark; save it as UTF-8.")
        raise Unreadable("The file is binary, not text.")


def _looks_like_utf16(start: bytes) -> bool:
    """Whether nearly every second byte is NUL and hardly one between."""
    few, many = sorted((start[::2].count(0), start[1::2].count(0)))
    return len(start) >= 8 and many * 4 > len(start) and few * 20 < len(start)


def _refuse_other_encoding(head: bytes, complete: bool) -> None:
    text = decode(head, "utf-8", complete)
    if not first_surrogate(text):
        return
    lines = [line for line in _LINE_ENDS.split(text) if line.strip()]
    bad = sum(bool(first_surrogate(line)) for line in lines)
    # A few bad lines are bad rows. Where most are bad the file is in another encoding.
    if bad * 2 > len(lines):
        raise _not_utf8(text)


def _not_utf8(text: str) -> Unreadable:
    numbered = enumerate(_LINE_ENDS.split(text), 1)
    number, line = next((number, line) for number, line in numbered if first_surrogate(line))
    byte = ord(first_surrogate(line)) - 0xDC00
    return Unreadable(f"The file is not valid UTF-8 (byte 0x{byte:02X} in line {number}); save it as UTF-8.")
