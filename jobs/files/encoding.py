"""Which bytes are text, and in which encoding."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from jobs.files.lines import errors_of
from jobs.files.payload import first_surrogate
from jobs.files.shape import BYTES, Reason, Unreadable

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAGIC = (
    (b"\xd0\xcf\x11\xe0", "an old or a protected Excel or Word document; save the sheet as .xlsx or CSV first"),
    (b"BZh", "compressed with bzip2; unpack it, or compress it with gzip"),
    (b"\xfd7zXZ\0", "compressed with xz; unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it, or compress it with gzip"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3\0", "a database"),
    (b"\x7fELF", "a program"),
)
# What no text holds: control characters without TAB, LF, VT, FF, CR, ESC and the separators 0x1c to 0x1f.
_ODD = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f")
_LINE_ENDS = re.compile(r"\r\n|\n|\r")
_ESCAPED = re.compile("[\udc80-\udcff]")
_NOT_ASCII = re.compile(r"[^\0-\x7f]+")
_HIGH = re.compile(rb"[\x80-\xff]")
_ABOVE_ASCII = re.compile("[^\0-\x7f\udc80-\udcff]")
# What Windows-1252 text has beside ASCII: signs, small letters, and capitals where a word begins or is all capitals.
# A Þ or ÿ, or an Ã behind a small letter, is more likely a byte that does not belong there.
_WESTERN = re.compile(
    "[€‚„…†‡‰‹›‘’“”•–—™ƒ\xa0¡¢£¥§©ª«®°±²³µ¶·¹º»¼½¾¿]|[œšžßà-öø-ý]"
    "|(?<![a-zß-ÿ])[ŒŠŽŸÀ-ÖØ-Ý](?=[a-zœšžßà-ÿ])|(?:(?<=[A-ZŒŠŽŸÀ-ÖØ-Ý])|(?<=\\b))[ŒŠŽŸÀ-ÖØ-Ý](?=[A-ZŒŠŽŸÀ-ÖØ-Ý])"
    "|(?<=[A-ZŒŠŽŸÀ-ÖØ-Ý])[ŒŠŽŸÀ-ÖØ-Ý](?![a-z])"
)
# charset-normalizer is asked only about what is neither. Measured: of 17 short Western files, such as a semicolon CSV
# with a few umlauts, it took 16 for Windows-1250 or something stranger; of Cyrillic, Greek, Chinese, Japanese and
# Korean it took all but KOI8-R for what they were.
FOREIGN = ("cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "euc_kr", "euc_jp")
EVIDENCE = 8  # bytes above ASCII, below which anything could be meant
SAMPLE = 64_000  # bytes that it is given
LOOKED_AT = 300_000  # bytes, from the first above ASCII on
TITLES = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "iso8859-1": "Latin-1"}
_START = 4_096


def detect(head: bytes, complete: bool, encoding: str = "") -> str:
    """The codec that reads this file. Raises Unreadable where it is no text, or not in an encoding that is read."""
    for start, what in MAGIC:
        if head.startswith(start):
            raise Unreadable(f"The file is {what}.")
    if encoding:
        return _given(head, _known(encoding))
    for bom, name in BOMS:
        if head.startswith(bom):
            return _with_bom(name)
    return _wide(head) or guess(head, complete)


def guess(head: bytes, complete: bool) -> str:
    """The encoding of bytes in which there is no byte order mark: UTF-8 where that is possible at all."""
    if len(head) > LOOKED_AT:
        first = _HIGH.search(head)
        start = first.start() if first else 0
        head, complete = head[start : start + LOOKED_AT], False
    text = decode(head, "utf-8", complete)
    wrong = len(_ESCAPED.findall(text))
    if wrong == 0 or len(_ABOVE_ASCII.findall(text)) >= wrong:
        return "utf-8"
    if b"\0" in head and (found := _utf16(head)):
        return found
    if _is_western(head.decode("cp1252", "surrogateescape")):
        return "cp1252"
    lines = [line for line in _LINE_ENDS.split(text) if line.strip()]
    bad = sum(bool(first_surrogate(line)) for line in lines)
    # A few bad lines are bad rows. Where most are bad the file is in another encoding.
    if bad * 2 <= len(lines):
        return "utf-8"
    if wrong < EVIDENCE:
        raise _not_utf8(text)
    return _foreign(head, text)


def _is_western(text: str) -> bool:
    """Whether nearly all bytes above ASCII make sense in Windows-1252, most of them not in rows of three and more.

    Words of nothing but accented letters are another alphabet, where there are enough of them to tell.
    """
    runs = [len(run) for run in _NOT_ASCII.findall(text)]
    if len(_WESTERN.findall(text)) * 10 < sum(runs) * 9:
        return False
    return sum(runs) < EVIDENCE or sum(run for run in runs if run > 2) * 2 <= sum(runs)


def _foreign(head: bytes, text: str) -> str:
    """What charset-normalizer takes the file for."""
    found = from_bytes(head[:SAMPLE], cp_isolation=list(FOREIGN), enable_fallback=False).best()
    if found is None:
        raise _not_utf8(text)
    return codecs.lookup(found.encoding).name


def decode(head: bytes, encoding: str, complete: bool) -> str:
    """The head as text; undecodable bytes become lone surrogates, a character cut in half at the end is left out.

    Raises Unreadable.
    """
    try:
        return codecs.getincrementaldecoder(encoding)(errors_of(encoding)).decode(head, complete)
    except UnicodeError:
        raise Unreadable(f"The file is not valid {title(encoding)}.") from None


def undecodable(text: str, encoding: str) -> str:
    """Why this text, read with lone surrogates in place of undecodable bytes, cannot be used."""
    code = ord(first_surrogate(text))
    if 0xDC80 <= code <= 0xDCFF and not encoding.startswith("utf-16"):
        return Reason(BYTES, f"is not valid {title(encoding)}: byte 0x{code - 0xDC00:02X}")
    return Reason(BYTES, f"is not valid {title(encoding)}: 0x{code:04X} is half a character")


def title(encoding: str) -> str:
    """The codec's name as people write it."""
    return TITLES.get(encoding) or encoding.upper().removesuffix("-SIG")


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        raise Unreadable(
            f"The encoding {encoding[:40]!r} is not known; known are utf-8, utf-16, windows-1252, latin-1 and others."
        ) from None


def _with_bom(name: str) -> str:
    if name == "utf-32":
        raise Unreadable("The file is UTF-32; save it as UTF-8.")
    return name


def _given(head: bytes, codec: str) -> str:
    """The codec that was asked for; a byte order mark that the file has must not become part of its first cell."""
    if codec == "utf-8" and head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if codec.startswith("utf-16"):
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        return _utf16(head) or "utf-16-le" if codec == "utf-16" else codec
    return codec


def _wide(head: bytes) -> str:
    """The kind of UTF-16 without a byte order mark that this is, or nothing. Raises Unreadable for what is no text."""
    odd = len(head) - len(head.translate(None, _ODD))
    # One stray control character in a row is that row's matter.
    if odd * 4 <= len(head) and odd <= 3 + len(head) // 100:
        return ""
    found = _utf16(head)
    if not found:
        raise Unreadable("The file is binary, not text.")
    return found


def _utf16(head: bytes) -> str:
    """Which half of UTF-16 makes text of these bytes: without odd characters, and not without ASCII."""
    start = head[: min(_START, len(head) & ~1)]
    for codec in ("utf-16-le", "utf-16-be"):
        text = start.decode(codec, "replace")
        odd = len(text) - sum(map(_is_texts, text))
        plain = sum(character < "\x7f" for character in text)
        if odd * 50 <= len(text) and plain * 50 >= len(text) and plain > 1:
            return codec
    return ""


def _is_texts(character: str) -> bool:
    return (character.isprintable() and character != "\ufffd") or character in "\t\r\n\u2028\u2029\ufeff"


def _not_utf8(text: str) -> Unreadable:
    numbered = enumerate(_LINE_ENDS.split(text), 1)
    number, line = next((number, line) for number, line in numbered if first_surrogate(line))
    byte = ord(first_surrogate(line)) - 0xDC00
    return Unreadable(
        f"The file is not valid UTF-8 (byte 0x{byte:02X} in line {number}); choose its encoding, or save it as UTF-8."
    )
