from __future__ import annotations

import csv
import io
import json

import pytest

from jobs.files import Result, Shape, csv_chunk, csv_line, jsonl_chunk, result_header

CSV = Shape("csv", "utf-8", ",", True, ("id", "q"))
JSONL = Shape("jsonl", "utf-8", columns=("id", "q"))
DONE = Result(1, "succeeded", '["7","how to"]', '{"answer":"so","tokens":12}', attempts=2, seconds=0.12345, key="k-7")
FAILED = Result(2, "failed", '["8","=1+1"]', "", "ValueError", "-bad, \nvery", 3, None)


def records(results: list[Result], keys: tuple[str, ...], shape: Shape = CSV) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_chunk(results, shape.columns, keys, shape), newline="")))


def line(result: Result, shape: Shape = CSV) -> dict[str, object]:
    found: dict[str, object] = json.loads(jsonl_chunk([result], shape.columns, shape))
    return found


def test_it_writes_nothing_of_no_rows() -> None:
    assert csv_chunk([], CSV.columns, (), CSV) == ""


def test_it_puts_the_files_columns_first() -> None:
    assert result_header(("id", "q"), ("answer", "")) == [
        *("id", "q", "row", "state", "result.answer", "result", "error_kind", "error", "attempts", "seconds"),
        "key",
    ]


def test_it_tells_our_columns_from_the_files() -> None:
    assert result_header(("row", "error", "batchweb.error", "result.a"), ("a",)) == [
        *("row", "error", "batchweb.error", "result.a"),
        *("batchweb.row", "state", "batchweb.result.a", "error_kind", "batchweb.batchweb.error", "attempts", "seconds"),
        "key",
    ]


def test_it_writes_a_success() -> None:
    assert records([DONE], ("answer", "tokens")) == [
        ["7", "how to", "1", "succeeded", "so", "12", "", "", "2", "0.123", "k-7"]
    ]


def test_it_writes_a_failure_guarded() -> None:
    assert records([FAILED], ("answer",)) == [
        ["8", "'=1+1", "2", "failed", "", "ValueError", "'-bad, \nvery", "3", "", ""]
    ]


@pytest.mark.parametrize(("result", "cell"), [('"yes"', "yes"), ("[1, 2]", "[1, 2]"), ("null", ""), ("-5", "-5")])
def test_it_writes_a_result_that_is_no_object(result: str, cell: str) -> None:
    assert records([Result(1, "succeeded", '["1","a"]', result)], ("", "answer"))[0][4:6] == [cell, ""]


def test_it_writes_a_json_row_under_its_columns() -> None:
    payload = '{"q": {"deep": [1]}, "id": 10.50}'

    assert records([Result(1, "succeeded", payload)], (), JSONL)[0][:2] == ["10.50", '{"deep": [1]}']


def test_it_pads_a_rejected_row() -> None:
    assert records([Result(1, "rejected", '["1"]')], ())[0][:3] == ["1", "", "1"]


def test_it_ends_records_as_rfc_4180_says() -> None:
    assert csv_chunk([FAILED], CSV.columns, (), CSV).endswith(',"\'-bad, \nvery",3,,\r\n')


def test_it_guards_a_header() -> None:
    assert csv_line(["=id", "q,r"]) == '\'=id,"q,r"\r\n'


def test_it_writes_a_line_of_json() -> None:
    assert line(DONE) == {
        "row": 1,
        "state": "succeeded",
        "input": {"id": "7", "q": "how to"},
        "result": {"answer": "so", "tokens": 12},
        "error_kind": "",
        "error": "",
        "attempts": 2,
        "seconds": 0.123,
        "key": "k-7",
    }


def test_it_guards_nothing_in_json() -> None:
    assert line(FAILED)["input"] == {"id": "8", "q": "=1+1"}


def test_it_echoes_a_json_row_as_it_stood() -> None:
    text = '{"id": 1e2, "id": 10.50, "q": "\\u0000"}'

    assert f'"input":{text},' in jsonl_chunk([Result(1, "failed", text)], JSONL.columns, JSONL)


def test_it_keeps_the_extra_cells_of_a_rejected_row() -> None:
    assert line(Result(1, "rejected", '["1","a","x"]'))["input"] == {"id": "1", "q": "a", "column 3": "x"}


def test_it_writes_one_line_for_each_result() -> None:
    assert jsonl_chunk([DONE, FAILED], CSV.columns, CSV).count("\n") == 2
