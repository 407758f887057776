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
        self._make(_START)

    def add(self, key: str, row: int) -> int:
        """The row that had the key first, or 0 where none had it and `row` (from 1) is the first."""
        rows, codes, mask = self._rows, self._codes, self._mask
        code = hash(key) & _ALL
        at = code & mask
        while first := rows[at]:
            if codes[at] == code:
                return first
            at = (at + 1) & mask
        codes[at], rows[at] = code, row
        self._free -= 1
        if not self._free:
            self._grow()
        return 0

    def _make(self, size: int) -> None:
        self._codes = array("Q", bytes(8 * size))
        self._rows = array("I", bytes(4 * size))
        self._mask = size - 1
        self._free = size // 2

    def _grow(self) -> None:
        old_codes, old_rows = self._codes, self._rows
        self._make(2 * len(old_codes))
        rows, codes, mask = self._rows, self._codes, self._mask
        for code, row in zip(old_codes, old_rows, strict=True):
            if row:
                at = code & mask
                while rows[at]:
                    at = (at + 1) & mask
                codes[at], rows[at] = code, row
                self._free -= 1
