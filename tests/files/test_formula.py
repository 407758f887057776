from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.files import guard, unguard

WIDE = [chr(code) for code in range(128, 0x110000) if unicodedata.normalize("NFKC", chr(code)) in tuple("=+-@")]
RISKY = "=+-@\t\r\n\0" + "".join(WIDE)


@pytest.mark.parametrize("first", RISKY)
@pytest.mark.parametrize("quotes", ["", "'", "''"])
def test_it_guards_a_formula(quotes: str, first: str) -> None:
    assert guard(f"{quotes}{first}cmd|' /C calc'!A0") == f"'{quotes}{first}cmd|' /C calc'!A0"


@pytest.mark.parametrize("cell", ["", "a", "-5", "−5", "+1.5e3", "-.5", "+3.", "'", "'a", "it's = 1", " =1", "1+1"])
def test_it_leaves_other_cells(cell: str) -> None:
    assert guard(cell) == cell


@pytest.mark.parametrize("cell", ["-5+cmd", "--5", "-5\n", "-", "+e3", "'-5", "-٣", "-5=1", "＋5", "－1.5"])
def test_it_does_not_take_everything_for_a_number(cell: str) -> None:
    assert guard(cell) == "'" + cell


@given(st.text() | st.text(alphabet=RISKY + "'1.e", max_size=6))
def test_it_undoes_the_guard_exactly(cell: str) -> None:
    assert unguard(guard(cell)) == cell


@given(st.text(alphabet=RISKY + "'1.ea", max_size=6))
def test_it_leaves_no_cell_that_starts_a_formula(cell: str) -> None:
    guarded = guard(cell)

    assert guarded[:1] not in set(RISKY) or float(guarded) is not None


@given(st.text(alphabet=RISKY + "'1.ea", max_size=6))
def test_it_takes_a_guard_away_only_where_one_was_set(cell: str) -> None:
    assert unguard(cell) == cell or guard(unguard(cell)) == cell
