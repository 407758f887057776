"""The guard of spreadsheet cells: a program that opens the file must not take a cell for a formula.

The rule is the one of OWASP ASVS 1.2.10, made exactly invertible so that a corrected file comes back as it was. Where
people write full-width characters, programs take ＝ for =, and so the others that Unicode has for these.
"""

from __future__ import annotations

import re

SIGNS = "=＝﹦⁼₌+＋﹢⁺₊﬩-－﹣@＠﹫"
BEGINS = SIGNS + "\t\r\n\0"
FIRST = frozenset("'" + BEGINS)  # a cell that begins otherwise needs no look

_FORMULA = re.compile(f"'*[{re.escape(BEGINS)}]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def guard(cell: str) -> str:
    """The cell with one `'` more where a spreadsheet would take it for a formula; plain numbers stay."""
    return "'" + cell if _is_formula(cell) else cell


def unguard(cell: str) -> str:
    """The cell that guard() made this one of."""
    return cell[1:] if cell[:1] == "'" and _is_formula(cell[1:]) else cell


def _is_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None
