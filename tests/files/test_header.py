from __future__ import annotations

import pytest

from jobs.files.header import column_names, is_header


@pytest.mark.parametrize(
    "text",
    [
        "id,query\n1,a",
        "name,city\nAnna,Berlin\nBob,Paris",
        ",name,score\n0,Anna,1\n1,Bob,2",
        "name,name,score\na,b,1",
        "How old are you?,Why?\n17,because",
        "query\nhow to\nwhere is",
        "URL\nhttp://a.b/\nhttp://b.c/",
        "search query\nfoo\nbar",
        "sku\n123\n124",
        "utterance\nhow do I get there\nwhere is the station",
    ],
)
def test_it_sees_a_header(text: str) -> None:
    assert is_header([line.split(",") for line in text.split("\n")])


@pytest.mark.parametrize(
    "text",
    [
        "1,a\n2,b",
        "http://a.b/\nhttp://b.c/",
        "red\ngreen\nblue",
        "how do I get there\nwhere is the station",
        "Anna,Anna\nBob,Carl",
        ",\n1,2",
        "ok,Anna\nok,Bob",
        "2024-01-01,open\n2024-01-02,closed",
        "a@example.com,yes\nb@example.com,no",
        "I would buy this again any time,good\nI hate it,bad",
    ],
)
def test_it_sees_data(text: str) -> None:
    assert not is_header([line.split(",") for line in text.split("\n")])


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ("a,b", ("a", "b")),
        ("name,name,", ("name", "name 2", "column 3")),
        ("name,name,name 2", ("name", "name 3", "name 2")),
        (",column 1", ("column 1 2", "column 1")),
        (" ,a", ("column 1", "a")),
        ("a, a", ("a", " a")),
    ],
)
def test_it_makes_names_unique(cells: str, names: tuple[str, ...]) -> None:
    assert column_names(cells.split(",")) == names
