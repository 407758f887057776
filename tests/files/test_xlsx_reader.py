from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest
from openpyxl.cell import WriteOnlyCell

from jobs.files import Limits, Partial, Unreadable, preflight, sheets, sniff
from tests.files.corpus import MAIN, TABLE, Endless, opened, parts, reasons, rows, saved, values, workbook, zipped


def refused(data: bytes, limits: Limits | None = None, **given: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        rows(data, "a.xlsx", limits or Limits(), **given)
    return str(caught.value)


def cell(xml: str, shared: Sequence[str] = (), **more: str) -> str:
    """The text of one cell, written as it stands."""
    data = zipped(parts(f'<row r="1">{xml}</row>', shared, **more))
    return str(values(data, "a.xlsx", header=False)[0][0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (-7, "-7"),
        (2.0, "2"),
        (1.1, "1.1"),
        (1e20, "1e+20"),
        (1e-7, "1e-07"),
        (True, "TRUE"),
        (False, "FALSE"),
        ("007", "007"),
        (" a\nb ", " a\nb "),
        ("#N/A", "#N/A"),
        (date(2024, 1, 31), "2024-01-31"),
        (date(1900, 1, 1), "1900-01-01"),
        (datetime(2024, 2, 29, 13, 5, 1), "2024-02-29 13:05:01"),
        (time(13, 5), "13:05:00"),
        (timedelta(hours=26, minutes=1), "26:01:00"),
    ],
)
def test_it_shows_a_value_as_text(value: object, text: str) -> None:
    assert values(workbook(("S", [["a", "b"], ["x", value], ["y", "z"]])), "a.xlsx")[0] == ["x", text]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<c r="A1"><v>1.0</v></c>', "1"),
        ('<c r="A1"><v>1.1000000000000001</v></c>', "1.1"),
        ('<c r="A1"><v>12E3</v></c>', "12000"),
        ('<c r="A1"><v>0.30000000000000004</v></c>', "0.30000000000000004"),
        ('<c r="A1"><v>12345678901234567890</v></c>', "12345678901234567890"),
        ('<c r="A1"><v>odd</v></c>', "odd"),
        ('<c r="A1"><v>1E999</v></c>', "inf"),
        ('<c r="A1" t="e"><v>#DIV/0!</v></c>', "#DIV/0!"),
        ('<c r="A1" t="str"><f>A2</f><v>made</v></c>', "made"),
        ('<c r="A1"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="A1" t="d"><v>2024-01-31</v></c>', "2024-01-31"),
        ('<c r="A1" t="b"><v>1</v></c>', "TRUE"),
        ('<c t="inlineStr"><is><r><t>two </t></r><r><t>runs</t></r></is></c>', "two runs"),
        ('<c t="inlineStr"><is><t>a_x000D_b_x005F_c</t></is></c>', "a\rb_c"),
        ('<c t="inlineStr"><is><t>a_x0000_b</t></is></c>', "a\u2400b"),
        ('<c r="A1" s="99"><v>5</v></c>', "5"),
    ],
)
def test_it_reads_what_other_programs_write(xml: str, text: str) -> None:
    assert cell(xml) == text


def test_it_looks_shared_texts_up() -> None:
    assert cell('<c r="A1" t="s"><v>1</v></c>', ("zero", "größer")) == "größer"


def test_it_leaves_out_how_a_text_is_pronounced() -> None:
    strings = f"<sst {MAIN}><si><t>課</t><rPh><t>カ</t></rPh><t>長</t></si></sst>"

    assert cell('<c t="s"><v>0</v></c>', **{"xl/sharedStrings.xml": strings}) == "課長"


@pytest.mark.parametrize(("code", "text"), [("yyyy", "2024-01-31"), ("0.00", "45322"), ("[h]:mm", "1087728:00:00")])
def test_it_tells_a_date_by_its_format(code: str, text: str) -> None:
    styles = (
        f'<styleSheet {MAIN}><numFmts><numFmt numFmtId="170" formatCode="{code}"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf/><xf numFmtId="170"/></cellXfs></styleSheet>'
    )

    assert cell('<c r="A1" s="1"><v>45322</v></c>', **{"xl/styles.xml": styles}) == text


def test_it_keeps_to_the_calendar_of_the_workbook() -> None:
    book = openpyxl.Workbook()
    book.epoch = datetime(1904, 1, 1)
    assert book.active is not None
    for record in (["a", "b"], ["x", date(2024, 1, 31)]):
        book.active.append(record)

    assert values(saved(book), "a.xlsx") == [["x", "2024-01-31"]]


def test_it_does_not_care_for_colours_that_openpyxl_refuses() -> None:
    styles = f'<styleSheet {MAIN}><fills><fill><patternFill patternType="none"><fgColor rgb="no"/></patternFill></fill>'

    assert cell("<c><v>5</v></c>", **{"xl/styles.xml": f"{styles}</fills></styleSheet>"}) == "5"


def test_it_reads_the_first_sheet_that_has_cells() -> None:
    shape = opened(workbook(("Empty", []), ("Data", TABLE)), "a.xlsx").shape

    assert (shape.sheet, shape.columns) == ("Data", ("id", "query"))


def test_it_reads_the_sheet_that_is_chosen() -> None:
    assert values(workbook(("One", TABLE), ("Two", [["q"], ["how to"]])), "a.xlsx", sheet="Two", header=True) == [
        ["how to"]
    ]


def test_it_passes_over_a_hidden_sheet() -> None:
    book = openpyxl.Workbook()
    book.create_sheet("Shown").append(["seen"])
    assert book.active is not None
    book.active.append(["unseen"])
    book.active.sheet_state = "hidden"

    assert (opened(saved(book)).shape.sheet, sheets(io.BytesIO(saved(book)))) == ("Shown", ("Shown", "Sheet"))


def test_it_lists_no_sheets_of_another_file() -> None:
    assert sheets(io.BytesIO(b"id,q\n1,a\n")) == ()


def test_it_names_the_sheets_there_are() -> None:
    data = workbook(("One", TABLE), ("Two", TABLE))

    assert refused(data, sheet="Three") == "The workbook has no sheet 'Three'; it has 'One', 'Two'."


def test_it_counts_blank_rows_between_others() -> None:
    xml = '<row r="1"><c><v>1</v></c></row><row r="2"/><row r="5"><c r="B5"><v>2</v></c></row><row r="9"/>'
    reader = opened(zipped(parts(xml)), header=False)

    assert ([json.loads(row.payload) for row in reader], reader.blank) == ([["1", ""], ["", "2"]], 3)


def test_it_rejects_a_row_wider_than_those_above() -> None:
    table = [["a", "b"], *[["1", "2"]] * 300, ["1", "2", "3"], ["1"]]

    assert reasons(workbook(("S", table)), "a.xlsx") == {301: "has 3 cells, expected 2 (columns a, b)"}


def test_it_rejects_a_row_over_the_limit_and_goes_on() -> None:
    table = [["a", "b"], ["1", "x" * 600], ["2", "x" * 150], ["3", "ok"]]

    assert reasons(workbook(("S", table)), "a.xlsx", Limits(row_bytes=500, cell_chars=100)) == {
        1: "is longer than 500 bytes",
        2: "has 150 characters in column b, the limit is 100",
    }


def test_it_counts_a_shared_text_in_each_cell_that_has_it() -> None:
    row = '<row r="2">' + '<c t="s"><v>0</v></c>' * 50 + "</row>"
    data = zipped(parts('<row r="1">' + "<c><v>1</v></c>" * 50 + "</row>" + row, ["x" * 100_000]))

    assert reasons(data, "a.xlsx", Limits(row_bytes=1_000_000), header=False) == {2: "is longer than 1,000,000 bytes"}


def test_it_is_quick_over_a_cell_in_the_last_corner() -> None:
    xml = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'

    assert "16,384 columns or more" in refused(zipped(parts(xml)))


@pytest.mark.parametrize("place", ["ZZZZZZ1", "A99999999999", "", "1", "A0", "ÄÄ1"])
def test_it_takes_a_strange_place_for_the_next_one(place: str) -> None:
    xml = f'<row r="1"><c r="A1"><v>1</v></c><c r="{place}"><v>2</v></c></row>'

    assert values(zipped(parts(xml)), "a.xlsx", header=False)[0][-1] == "2"


@pytest.mark.parametrize("number", ["0", "-1", "1", "99999999999", "x", "1.5"])
def test_it_takes_a_strange_row_for_the_next_one(number: str) -> None:
    xml = f'<row r="1"><c><v>1</v></c></row><row r="{number}"><c><v>2</v></c></row>'

    assert values(zipped(parts(xml)), "a.xlsx", header=False) == [["1"], ["2"]]


def test_it_waits_for_the_whole_workbook() -> None:
    with pytest.raises(Partial, match="when all of it has arrived"):
        sniff(workbook(("S", TABLE))[:2_000], "a.xlsx")


def test_it_reads_a_stream_that_cannot_go_back() -> None:
    data = workbook(("S", TABLE))

    assert preflight(Endless(data, b" ", len(data)), "a.xlsx").rows == 5


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped({"a.txt": "x"}), "The file is a zip archive; unpack it first."),
        (zipped({"word/document.xml": "x"}), "The file is a Word document."),
        (zipped({"content.xml": "x"}), "The file is an OpenDocument file; save it as .xlsx or CSV."),
        (zipped({"xl/workbook.bin": "x"}), "The file is a binary Excel workbook; save it as .xlsx."),
        (zipped({"xl/workbook.xml": "<x/>"}), "The workbook is damaged"),
        (workbook(("S", [])), "The workbook is empty."),
        (workbook(("S", [["id", "query"]])), "The sheet has a header but no rows."),
        (workbook(("S", TABLE))[:-100], "The workbook is damaged: its end is missing"),
        (zipped(parts("<row>")), "The sheet is damaged near row 1."),
        (zipped(parts("<row/>" * 500 + "<row>")), "The sheet is damaged near row 501"),
        (zipped(parts('<row><c t="s"><v>7</v></c></row>')), "The sheet is damaged"),
        (zipped(parts('<row><c t="s"><v>-1</v></c></row>', ["x"])), "The sheet is damaged"),
        (zipped(parts(**{"xl/workbook.xml": "<workbook>"})), "The workbook is damaged"),
        (b"PK\x03\x04" + b"PK\5\6" + bytes(18), "The file is a zip archive; unpack it first."),
        (b"PK\x03\x04" + b"PK\5\6" + bytes(8) + b"\x09" + bytes(9), "The workbook is damaged"),
    ],
)
def test_it_says_what_is_wrong_with_a_workbook(data: bytes, sentence: str) -> None:
    assert refused(data).startswith(sentence)


def test_it_says_that_a_sheet_is_damaged_on_the_way() -> None:
    xml = "".join(f"<row><c><v>{n}</v></c></row>" for n in range(50_000))
    data = bytearray(zipped(parts(xml)))
    data[len(data) // 2] ^= 255

    assert "damaged" in refused(bytes(data), header=False)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("doctype", [ENTITIES, OUTSIDE, "<!DOCTYPE x>"])
@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml"]
)
def test_it_refuses_entities(part: str, doctype: str) -> None:
    whole = parts("<row><c><v>1</v></c></row>")
    whole[part] = doctype + str(whole[part])

    assert refused(zipped(whole)) == "The workbook declares XML entities, which none may."


def test_it_refuses_a_bomb() -> None:
    data = zipped(parts('<row><c t="inlineStr"><is><t>' + "x" * 30_000_000 + "</t></is></c></row>"))

    assert refused(data) == "The file unpacks to more than 200 times its size, which is the limit."


def test_it_refuses_more_than_the_limit() -> None:
    assert "unpacks to more than 1,000 bytes" in refused(workbook(("S", TABLE)), Limits(unpacked_bytes=1_000))


def test_it_looks_for_rows_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.files.xlsx_reader.LOOKED_AT", 100_000)

    assert refused(zipped(parts("<row/>" * 100_000 + "<row><c><v>1</v></c></row>"))) == "The workbook is empty."


def test_it_refuses_too_many_sheets() -> None:
    data = workbook(*((f"S{n}", TABLE) for n in range(4)))

    assert refused(data, Limits(sheets=3)) == "The workbook has 4 sheets; the limit is 3."


def test_it_refuses_texts_that_fill_the_memory() -> None:
    data = zipped(parts("<row/>", ["some text"] * 10_000))

    assert "The workbook's texts have" in refused(data, Limits(shared_bytes=100_000))


def test_it_refuses_an_archive_of_too_many_parts() -> None:
    data = zipped({f"xl/{'x' * 100}{n}": b"" for n in range(30_000)})

    assert refused(data) == "The workbook has too many parts."


def test_it_keeps_numbers_that_are_no_dates_as_they_are() -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("S")
    strange = WriteOnlyCell(sheet, 1e12)
    strange.number_format = "yyyy-mm-dd"
    sheet.append([strange])

    assert values(saved(book), "a.xlsx", header=False) == [["1000000000000"]]
