"""Which keys of a file were seen before, in 12 to 48 bytes for each, however long it is."""

from __future__ import annotations

from array import array

_START = 1 << 10
_ALL = (1 << 64) - 1


class Seen:
    """Keys by their hash of 64 bits, with the row of the first: a table with open addressing, at most half full.

    Among five million different keys two share a hash with a probability under one in a million.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(_START)

    def add(self, key: str, row: int) -> int:
        """The row that had the key first, or 0 where none had it and `row` (from 1) is the first."""
        code = hash(key) & _ALL
        at = self._place(code)
        if first := self._rows[at]:
            return first
        self._codes[at], self._rows[at] = code, row
        self._count += 1
        if self._count * 2 > len(self._codes):
            self._grow()
        return 0

    def _make(self, size: int) -> None:
        self._codes = array("Q", bytes(8 * size))
        self._rows = array("I", bytes(4 * size))

    def _place(self, code: int) -> int:
        """Where the code is, or is to be."""
        mask = len(self._codes) - 1
        at = code & mask
        while self._rows[at] and self._codes[at] != code:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        codes, rows = self._codes, self._rows
        self._make(2 * len(codes))
        for code, row in zip(codes, rows, strict=True):
            if row:
                at = self._place(code)
                self._codes[at], self._rows[at] = code, row
