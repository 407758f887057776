"""Workbooks of some kilobytes that are made to fill the memory, or to keep a processor busy."""

from __future__ import annotations

import io
import json
from contextlib import suppress

import pytest
from openpyxl.styles.numbers import is_date_format

from jobs.files import Limits, Unreadable, open_rows, preflight, styles
from tests.files.corpus import MAIN, parts, values, zipped
from tests.files.test_hostile import MB, peak_below

BOMBS = Limits(ratio=10**9)
SHARED = '<row><c t="s"><v>0</v></c></row>'
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as error:
        preflight(io.BytesIO(data), "a.xlsx", limits or Limits())
    return str(error.value)


def styled(code: str) -> dict[str, str | bytes]:
    """The parts of a workbook with one number in this format."""
    whole = parts('<row><c s="0"><v>1</v></c></row>' * 2)
    formats = f'<numFmts count="1"><numFmt numFmtId="170" formatCode="{code}"/></numFmts>'
    whole["xl/styles.xml"] = f'<styleSheet {MAIN}>{formats}<cellXfs><xf numFmtId="170"/></cellXfs></styleSheet>'
    return whole


def headed(name: str) -> tuple[str, ...]:
    """The columns of a workbook whose first column is called like this."""
    xml = f'<row><c t="inlineStr"><is><t>{name}</t></is></c><c t="inlineStr"><is><t>b</t></is></c></row>'
    data = zipped(parts(xml + "<row><c><v>1</v></c><c><v>2</v></c></row>"))
    return open_rows(io.BytesIO(data), "a.xlsx").columns


def test_it_refuses_many_rows_that_share_one_long_text() -> None:
    data = zipped(parts(SHARED * 1_100, ["x" * (MB - 1)]))

    assert len(data) < 8_000
    with peak_below(40):
        assert refused(data) == "The file unpacks to more than 200 times its size, which is the limit."


def test_it_refuses_many_cells_that_share_texts_of_some_length() -> None:
    cells = '<c t="s"><v>0</v></c>' * 1_000
    data = zipped(parts(f"<row>{cells}</row>" * 500, ["x" * 900]))

    with peak_below(40):
        assert "200 times its size" in refused(data)


def test_it_stays_small_over_long_texts_that_may_be_shared() -> None:
    data = zipped(parts(SHARED * 1_100, ["x" * (MB - 1)]))

    with peak_below(40):
        assert preflight(io.BytesIO(data), "a.xlsx", BOMBS).rows == 1_100


def test_it_measures_shared_texts_whatever_their_part_is_called() -> None:
    whole = parts(SHARED, ["some text"] * 10_000)
    whole["xl/worksheets/strings.bin"] = whole.pop("xl/sharedStrings.xml")
    whole["[Content_Types].xml"] = str(whole["[Content_Types].xml"]).replace(
        "/xl/sharedStrings.xml", "/xl/worksheets/strings.bin"
    )

    assert refused(zipped(whole), Limits(shared_bytes=100_000)).startswith("The workbook's texts have")


@pytest.mark.parametrize(
    "name", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", "[Content_Types].xml"]
)
def test_it_refuses_a_part_that_is_far_too_long(name: str) -> None:
    whole = parts(SHARED, ["a"])
    whole[name] = str(whole[name]) + " " * 17 * MB

    assert (
        refused(zipped(whole), BOMBS)
        == f"The part {name} of the workbook has more than 16,000,000 bytes, which is the limit."
    )


@pytest.mark.parametrize(
    "name", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", "[Content_Types].xml"]
)
@pytest.mark.parametrize(
    "piece", ['<sheet name="a" id="b"/>', '<xf numFmtId="1"/>', '<numFmt numFmtId="{}" formatCode="d"/>']
)
def test_it_stays_small_over_a_long_part(name: str, piece: str) -> None:
    whole = parts(SHARED, ["a"])
    many = "".join(piece.format(number) for number in range(3_000_000 // len(piece)))
    whole["xl/styles.xml"] = f"<styleSheet {MAIN}><cellXfs></cellXfs></styleSheet>"
    whole[name] = str(whole[name]).replace("</", many + "</", 1)
    data = zipped(whole)

    with peak_below(12), suppress(Unreadable):
        preflight(io.BytesIO(data), "a.xlsx", BOMBS)


def test_it_stays_small_over_a_long_tag() -> None:
    whole = parts(SHARED, ["a"])
    whole["xl/workbook.xml"] = str(whole["xl/workbook.xml"]).replace("<sheets>", f'<x y="{"z" * 9 * MB}"/><sheets>')
    data = zipped(whole)

    with peak_below(30):
        assert refused(data, BOMBS) == "The workbook is damaged: a part of it does not end."


def test_it_takes_short_texts_in_about_their_own_bytes() -> None:
    xml = "".join(f"<si><t>number {number}</t></si>" for number in range(200_000))
    whole = parts(SHARED)
    whole["xl/sharedStrings.xml"] = f"<sst {MAIN}>{xml}</sst>"
    data = zipped(whole)

    with peak_below(12):
        assert values(data, "a.xlsx", header=False) == [["number 0"]]


@pytest.mark.parametrize("code", ["[" * 500_000, '"' * 400_000, "d" * 256])
def test_it_takes_a_number_for_no_date_over_a_format_that_none_can_have(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noted(code: str) -> bool:
        asked.append(len(code))
        return bool(is_date_format(code))

    monkeypatch.setattr(styles, "is_date_format", noted)
    data = zipped(styled(code.replace('"', "&quot;")))

    assert values(data, "a.xlsx", header=False) == [["1"], ["1"]]
    assert max(asked) <= 255


def test_it_knows_a_long_format_of_dates() -> None:
    assert values(zipped(styled("yyyy-mm-dd" + " " * 245)), "a.xlsx", header=False)[0] == ["1900-01-01"]


@pytest.mark.parametrize(
    ("name", "column"),
    [("_xD800_", "�"), ("a_xDFFF_b", "a�b"), ("_x0000_", "␀"), ("_xD83D__xDE00_", "😀"), ("_x0041_", "A")],
)
def test_it_reads_no_header_that_a_database_refuses(name: str, column: str) -> None:
    assert headed(name) == (column, "b")


def test_it_rejects_a_row_with_half_a_character() -> None:
    xml = "<row><c><v>1</v></c></row>" + '<row><c t="inlineStr"><is><t>a_xD800_</t></is></c></row>'
    good, bad = open_rows(io.BytesIO(zipped(parts(xml))), "a.xlsx", header=False)

    assert (good.reason, bad.reason) == ("", "is not valid UTF-8: 0xD800 is half a character in column column 1")
    assert json.loads(bad.payload) == ["a�"]


def test_it_looks_at_no_more_of_large_rows_than_guesses_need() -> None:
    row = f'<row><c t="inlineStr"><is><t>{"x" * 3 * MB}</t></is></c></row>'
    data = zipped(parts(row * 30))

    with peak_below(60):
        assert preflight(io.BytesIO(data), "a.xlsx", BOMBS).bad_total == 30
