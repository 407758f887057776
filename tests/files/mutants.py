"""Files of the corpus with something wrong somewhere, the same ones for the same seed."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from jobs.files import LIMITS, Limits, Shape, Unreadable, open_rows, preflight, read, sniff
from tests.files.corpus import ODDITIES, Case, Endless, cases, zipped

TIGHT = Limits(columns=20, cell_chars=60, row_bytes=400, rows=50, json_depth=5, unpacked_bytes=60_000, sheets=2)
TOKENS = [
    *(odd.encode() for odd in ODDITIES),
    *(b'"', b'""', b"\\", b",", b";", b"\t", b"\n", b"\r", b"\0", b"{", b"}", b"[", b"]", b":", b"-", b"1e999", b"NaN"),
    *(b"\xff", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b'"a":', b"null", b"[" * 300, b"x" * 500, b"\n" * 60),
    *(
        b"<",
        b">",
        b"&#0;",
        b"&a;",
        b"<!DOCTYPE a>",
        b"</row>",
        b"<c>",
        b't="s"',
        b'r="XFD1"',
        b"_xD800_",
        b"PK\x03\x04",
    ),
    *(b"\x1f\x8b\x08\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\x80\0\0\0", b"\xff\xff\xff\xff"),
]
GIVEN: list[dict[str, Any]] = [
    *[{}] * 6,
    *({"format": format} for format in ("csv", "tsv", "jsonl", "json", "xlsx", "text")),
    *({"encoding": codec} for codec in ("utf-8", "utf-16", "utf-16-be", "cp1252", "latin-1", "shift_jis", "utf-7")),
    *({"header": header} for header in (True, False)),
    *({"delimiter": delimiter} for delimiter in ",;|"),
    {"sheet": "S"},
]
CORPUS = list(cases())
BOOKS = [case for case in CORPUS if ".xlsx" in case.name]


class Mutant(NamedTuple):
    """A file and how it is to be read."""

    data: bytes
    name: str
    given: dict[str, Any]
    limits: Limits


def mutant(seed: str) -> Mutant:
    """The one of this seed."""
    chance = random.Random(seed)
    case = chance.choice(BOOKS if chance.random() < 0.25 else CORPUS)
    limits = TIGHT if chance.random() < 0.5 else LIMITS
    name = chance.choice([case.name, case.name, "", "a.csv", "a.json", "a.txt"])
    return Mutant(_changed(case, chance), name, chance.choice(GIVEN), limits)


def survive(mutant: Mutant) -> None:
    """Reads it in every way. Whatever is raised but Unreadable is an error, as are rows that cannot be stored."""
    data, name, given, limits = mutant
    _tried(lambda: sniff(data, name, complete=True, limits=limits, **given))
    _tried(lambda: sniff(data[: len(data) // 2], name, limits=limits, **given))
    first = _tried(lambda: _read(io.BytesIO(data), name, limits, given))
    second = _tried(lambda: preflight(Endless(data, b" ", len(data)), name, limits, **given).rows)
    if isinstance(first, int) and isinstance(second, int):
        assert first == second


def _read(stream: io.BytesIO, name: str, limits: Limits, given: dict[str, Any]) -> int:
    reader = open_rows(stream, name, limits, **given)
    shape = Shape.from_dict(json.loads(json.dumps(reader.shape.to_dict())))
    payloads = []
    for row in reader:
        json.loads(row.payload)
        (row.payload + row.reason).encode()
        payloads.append(row.payload)
    stream.seek(0)
    assert [row.payload for row in read(stream, shape, limits)] == payloads
    return len(payloads)


def _tried(way: Callable[[], Any]) -> Any:
    try:
        return way()
    except Unreadable as error:
        sentence = str(error)
    assert sentence.endswith("."), sentence
    return sentence


def _changed(case: Case, chance: random.Random) -> bytes:
    data = case.data
    if data.startswith(b"\x1f\x8b") and chance.random() < 0.6:
        return gzip.compress(_changed(Case("", zlib.decompress(data, 31), "", []), chance), 1, mtime=0)
    if data.startswith(b"PK") and chance.random() < 0.8:
        return _changed_workbook(data, chance)
    return _mutated(data, chance)


def _changed_workbook(data: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(parts))
    if chance.random() < 0.1:
        del parts[name]
    else:
        parts[name] = _mutated(bytes(parts[name]), chance)  # type: ignore[arg-type]
    return zipped(parts)


def _mutated(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at, until = sorted(chance.randint(0, len(data)) for _ in range(2))
        data = chance.choice(
            [
                data[:at] + chance.choice(TOKENS) + data[at:],
                data[:at] + chance.choice(TOKENS) + data[at + 1 :],
                data[:at] + data[until:],
                data[:until] + data[at:],
                data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
                data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at:],
                data[:until],
            ]
        )
    return data
