from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from jobs.files import Findings, Limits, Preflight, Row, Unreadable, open_rows, preflight
from jobs.management.commands.preflight import Command
from tests.files.corpus import ENCODINGS, NEWLINES, Endless, opened, workbook

SAMPLES = Path(__file__).parents[2] / "samples"
CONTENTS = {
    "a.csv": 'id,q\n1,a\n\n2,"b\nc"\n3\n4,d\n',
    "a.tsv": "id\tq\n1\ta\n\n2\tb\t\n",
    "a.jsonl": '{"a": 1}\n\n{"a": \n{"b": 2}\n{"c": 3}\n',
    "a.txt": "one\n\ntwo \u2028 three\n",
}


def command(file: str | Path, as_json: bool = False) -> str:
    out = io.StringIO()
    call_command(Command(), str(file), *(["--json"] if as_json else []), stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize("name", CONTENTS)
def test_it_counts_the_rows_that_are_read(name: str, newline: str, encoding: str) -> None:
    data = CONTENTS[name].replace("\n", newline).encode(encoding)
    rows = list(opened(data, name))
    report = preflight(io.BytesIO(data), name)

    assert (report.rows, report.bad_total) == (len(rows), sum(bool(row.reason) for row in rows))


def test_it_reports_what_scripts_rely_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,q\n1,a\n2\n")

    assert preflight(tmp_path / "a.csv").to_dict() == {
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ",",
        "header": True,
        "columns": ["id", "q"],
        "rows": 2,
        "bad": [{"row": 2, "reason": "has 1 cell, expected 2 (columns id, q)"}],
        "bad_total": 1,
        "blank": 0,
        "duplicates": 0,
        "groups": [
            {
                "kind": "too few cells",
                "count": 1,
                "first": [{"row": 2, "reason": "has 1 cell, expected 2 (columns id, q)"}],
            }
        ],
        "types": ["whole number", "text"],
        "compression": "",
        "sheet": "",
        "path": "",
    }


def test_it_lists_the_first_thousand_bad_rows() -> None:
    report = preflight(io.BytesIO(b"id,q\n" + b"1,a\n" * 2_000 + b"1\n" * 1_500), "a.csv")

    assert (len(report.bad), report.bad[0][0], report.bad_total) == (1_000, 2_001, 1_500)


def test_it_groups_what_is_wrong() -> None:
    data = b"id,q\n1,a\n2\n3,b,c\n4,\xff\n5\n\n6," + b"x" * 2_000 + b"\n7\n"
    report = preflight(io.BytesIO(data), "a.csv", Limits(cell_chars=1_000))

    assert {group.kind: [problem.row for problem in group.first] for group in report.groups} == {
        "too few cells": [2, 5, 7],
        "too many cells": [3],
        "undecodable bytes": [4],
        "too long": [6],
    }


def test_it_groups_what_is_wrong_with_json() -> None:
    data = b'{"a": 1}\n{"a": }\n' + b"[" * 300 + b"]" * 300 + b'\n{"a": "\xff"}\n'
    report = preflight(io.BytesIO(data), "a.jsonl")

    assert [group.kind for group in report.groups] == ["broken JSON", "nested too deep", "undecodable bytes"]


def test_it_lists_the_first_ten_of_a_group() -> None:
    report = preflight(io.BytesIO(b"id,q\n1,a\n" + b"1\n" * 50), "a.csv")

    assert ([(group.count, len(group.first)) for group in report.groups]) == [(50, 10)]


def test_it_counts_blank_lines() -> None:
    assert preflight(io.BytesIO(b"id,q\n1,a\n\n  \n2,b\n\n"), "a.csv").blank == 3


def test_it_passes_on_what_a_processor_refuses() -> None:
    def check(row: Row) -> str:
        return "" if row.value[1].startswith("http") else "is no address"

    found = Preflight(open_rows(io.BytesIO(b"id,url\n1,http://a.b\n2,c\n3\n"), "a.csv"), check=check)

    assert [problem[:2] for problem in found] == [(2, "refused"), (3, "too few cells")]


def test_it_sums_up_on_the_way() -> None:
    found = Preflight(open_rows(io.BytesIO(b"id,q\n1\n2,b\n3\n4,c\n"), "a.csv", header=True))
    next(found)

    assert (found.report().bad_total, found.reader.rows) == (1, 1)


def test_it_finds_bad_rows_lazily_in_little_memory() -> None:
    stream = Endless(b"id,q\n1,a\n2,b\n", b"1\n", 200_013)
    found = Preflight(open_rows(stream, "a.csv"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in found) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_it_guesses_the_types_of_the_columns() -> None:
    assert preflight(io.BytesIO(b'{"a": 1, "b": "x@y.de"}\n{"a": 2, "c": [1]}\n'), "a.jsonl").types == (
        "whole number",
        "address",
        "JSON",
    )


def test_it_keeps_no_large_row_to_guess_types_from() -> None:
    found = Findings()
    found.look(1, Row(json.dumps(["x" * 1_000_000, "1"])), "")
    found.look(2, Row('["1", "2.5"]'), "")

    assert found.report(open_rows(io.BytesIO(b"a,b\n1,2\n"), "a.csv")).types == ("whole number", "number")


def test_it_makes_plain_json_of_everything() -> None:
    report = preflight(io.BytesIO(b"id,q\n1,a\n1\n1,b\n"), "a.csv")

    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_it_follows_what_is_given() -> None:
    assert preflight(io.BytesIO(b"id,q\n1,a\n"), "a.csv", header=False).rows == 2


def test_it_raises_for_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        preflight(tmp_path / "none.csv")


def test_it_raises_for_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()

    with pytest.raises(Unreadable, match="empty"):
        preflight(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("queries.csv", ("id", "query"), 25),
        ("urls.csv", ("id", "url", "note"), 12),
        ("simulate.csv", ("name", "simulate"), 200),
        ("prompts.jsonl", ("custom_id", "query"), 10),
    ],
)
def test_it_finds_the_samples_good(name: str, columns: tuple[str, ...], rows: int) -> None:
    report = preflight(SAMPLES / name)

    assert (report.columns, report.rows, report.bad_total) == (columns, rows, 0)


def test_it_prints_one_json_object(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,ż\n1,a\n")

    assert json.loads(command(tmp_path / "a.csv", as_json=True))["columns"] == ["id", "ż"]


def test_it_prints_a_page_for_people(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;q\n1;a\n2\n")

    assert command(tmp_path / "a.csv").splitlines() == [
        "format:    csv",
        "encoding:  utf-8",
        "delimiter: semicolon",
        "header:    yes",
        "columns:   id, q",
        "rows:      2",
        "bad rows:  1",
        "too few cells: 1",
        "  row 2 has 1 cell, expected 2 (columns id, q)",
    ]


def test_it_prints_what_else_it_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b'{"data": [{"id": 1},\n{"id": 1},\n{"id": }]}'))

    assert command(tmp_path / "a").splitlines() == [
        "format:    json in gzip",
        "rows in:   data",
        "encoding:  utf-8",
        "columns:   id",
        "rows:      3",
        "bad rows:  1",
        "same keys: 1",
        "duplicate key: 1",
        "  row 2 has the key 1, which row 1 has too",
        "broken JSON: 1",
        "  row 3 is not valid JSON: expecting value at character 8",
    ]


def test_it_prints_the_sheet(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(workbook(("May", [["id", "q"], [1, "a"], [], [2, "b"]])))

    assert command(tmp_path / "a").splitlines()[:4] == [
        "format:    xlsx",
        "sheet:     May",
        "encoding:  utf-8",
        "header:    yes",
    ]


def test_it_prints_no_control_characters(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,\x1b[31mq\n1,a\n2\n")

    assert "\x1b" not in command(tmp_path / "a.csv")


@pytest.mark.parametrize(("content", "sentence"), [(b"", "The file is empty."), (b"id,q\n", "a header but no rows")])
def test_it_ends_with_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)

    with pytest.raises(CommandError, match=sentence):
        command(tmp_path / "a.csv")


def test_it_says_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.csv cannot be opened: No such file or directory\."):
        command(tmp_path / "none.csv")
