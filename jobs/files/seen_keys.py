"""Which keys of a file were seen before, in 12 to 60 bytes for each, however long it is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_START = 1 << 10
_ALL = (1 << 64) - 1


class Seen:
    """Keys by their hash of 64 bits, with the row of the first: a table with open addressing, at most half full.

    Among five million different keys two share a hash with a probability under one in a million.

    A key that is longer than all before it, or as long and greater, is new. So keys that only grow, as in most files
    that number their rows, are just put down; the table takes them in when the first key comes that does not.
    """

    def __init__(self) -> None:
        self._longest = 0
        self._greatest = ""
        self._later = array("q"), array("I")
        self._make(_START)

    def add(self, key: str, row: int) -> int:
        """The row that had the key first, or 0 where none had it and `row` (from 1) is the first."""
        length = len(key)
        if length > self._longest or (length == self._longest and key > self._greatest):
            self._longest, self._greatest = length, key
            codes, rows = self._later
            codes.append(hash(key))
            rows.append(row)
            return 0
        if self._later[0]:
            codes, rows = self._later
            self._later = array("q"), array("I")
            self._take_in(zip(codes, rows, strict=True))
        return self._find(hash(key) & _ALL, row)

    def _find(self, code: int, row: int) -> int:
        rows, codes, mask = self._rows, self._codes, self._mask
        at = code & mask
        while first := rows[at]:
            if codes[at] == code:
                return first
            at = (at + 1) & mask
        codes[at], rows[at] = code, row
        self._free -= 1
        if not self._free:
            self._take_in(self._grown())
        return 0

    def _take_in(self, found: Iterable[tuple[int, int]]) -> None:
        for code, row in found:
            if row:
                self._find(code & _ALL, row)

    def _grown(self) -> Iterable[tuple[int, int]]:
        """Makes room for twice as many keys. Returns those that were there."""
        old = zip(self._codes, self._rows, strict=True)
        self._make(2 * len(self._codes))
        return old

    def _make(self, size: int) -> None:
        self._codes = array("Q", bytes(8 * size))
        self._rows = array("I", bytes(4 * size))
        self._mask = size - 1
        self._free = size // 2
