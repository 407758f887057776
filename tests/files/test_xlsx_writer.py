from __future__ import annotations

import gc
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from jobs.files import LIMITS, Shape, read, workbook, xlsx_writer
from jobs.files.xlsx_writer import CELL, letters


def made(*records: Sequence[Any], header: Sequence[str] = ("a", "b")) -> bytes:
    return b"".join(workbook(header, [records]))


def opened(data: bytes, sheet: str = "Results") -> list[list[Any]]:
    """The rows as openpyxl reads them."""
    book = load_workbook(io.BytesIO(data), read_only=True)
    return [
        [unescape(cell) if isinstance(cell, str) else cell for cell in row]
        for row in book[sheet].iter_rows(values_only=True)
    ]


def sheets(data: bytes) -> list[str]:
    return list(load_workbook(io.BytesIO(data), read_only=True).sheetnames)


def test_it_keeps_texts_numbers_and_nothing_apart() -> None:
    rows: list[list[Any]] = [["7", 7], [None, 1.5], ["", True], ["x", {"k": [1]}]]
    assert opened(made(*rows)) == [["a", "b"], ["7", 7], [None, 1.5], [None, True], ["x", '{"k": [1]}']]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\t=x", "\r=x", "\n=x", "'=x", "=HYPERLINK(1)", "http://a.b"]
)
def test_it_makes_no_formula_and_no_link(text: str) -> None:
    data = made([text, ""])
    cell = load_workbook(io.BytesIO(data))["Results"]["A2"]
    assert (cell.data_type, cell.hyperlink, unescape(cell.value)) == ("s", None, text)


def test_it_keeps_large_numbers_exactly() -> None:
    assert opened(made([10**15, -(10**15) + 1]))[1] == [str(10**15), -(10**15) + 1]


def test_it_cuts_what_no_cell_holds_and_says_so() -> None:
    data = made(["x" * CELL, "😀" * 20_000], ["y" * (CELL + 1), ""])
    (_, first, second) = opened(data)
    assert first[0] == "x" * CELL
    assert first[1].endswith("😀… [cut from 20,000 characters]")
    assert len(first[1].encode("utf-16-le")) // 2 <= CELL
    assert second[0].endswith("y… [cut from 32,768 characters]")
    assert opened(data, "Notes")[1][0].startswith("2 texts are longer than the 32,767 characters")


def test_it_goes_on_in_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_writer, "ROWS", 4)
    data = made(*([str(at), at] for at in range(7)))
    assert sheets(data) == ["Results", "Results 2", "Results 3", "Notes"]
    found = [opened(data, name) for name in sheets(data)[:-1]]
    assert [rows[0] for rows in found] == [["a", "b"]] * 3
    assert [row[1] for rows in found for row in rows[1:]] == list(range(7))


def test_it_goes_on_in_another_sheet_before_one_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_writer, "SHEET", 1_000)
    data = b"".join(workbook(["a"], [[["x" * 800]], [["y"]], [["z"]]]))
    assert sheets(data) == ["Results", "Results 2", "Notes"]


def test_it_sends_what_it_has_before_it_asks_for_more() -> None:
    def chunks() -> Iterator[list[list[str]]]:
        for at in range(3):
            asked.append(at)
            yield [[str(at)]] * 500

    asked: list[int] = []
    pieces = workbook(["a"], chunks())
    assert next(pieces).startswith(b"PK")
    assert asked == [0]


def test_it_can_be_left_unfinished() -> None:
    pieces = workbook(["a"], [[["x"]]] * 3)
    next(pieces)
    del pieces
    gc.collect()


def test_it_is_the_same_for_the_same_rows() -> None:
    assert made(["x", 1]) == made(["x", 1])


def test_it_has_no_notes_where_all_is_as_it_was() -> None:
    assert sheets(made(["x", 1])) == ["Results"]


def test_it_is_a_whole_archive() -> None:
    assert zipfile.ZipFile(io.BytesIO(made(["x", 1]))).testzip() is None


@pytest.mark.parametrize(("column", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (702, "AAA"), (16_383, "XFD")])
def test_it_names_columns(column: int, name: str) -> None:
    assert letters(column) == name


TEXTS = st.text(max_size=6) | st.text(alphabet="=+-@\t\r\n\0'_x0041 <>&]\"\x0b\ufffe", max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_it_gives_back_every_text(rows: list[list[str]]) -> None:
    whole = [[cell.replace("\0", "\u2400") for cell in row] for row in rows]
    found = opened(made(["first", "row"], *rows))[2:]
    assert [[cell or "" for cell in row] + [""] * (2 - len(row)) for row in found] == whole


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_it_is_read_by_the_product_itself(rows: list[list[str]]) -> None:
    data = made(*([f"x{one}", f"x{two}"] for one, two in rows))
    shape = Shape("xlsx", "utf-8", header=True, columns=("a", "b"), sheet="Results")
    back = [json.loads(row.payload) for row in read(io.BytesIO(data), shape, LIMITS)]
    assert back == [[f"x{cell}".replace("\0", "\u2400") for cell in row] for row in rows]
