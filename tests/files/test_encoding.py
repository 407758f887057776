"""Which encoding a file is taken to be in; what does not fit costs its row and not the file."""

from __future__ import annotations

import codecs
import contextlib

import pytest

from jobs.files import Unreadable
from tests.files.corpus import opened, reasons, rows, values

FEW_UMLAUTS = "id;größe;ort\n1;12;Köln\n" + "".join(f"{n};1;Berlin\n" for n in range(2, 200)) + "200;1;Zürich\n"
LANGUAGES = [
    ("cp1251", "id;запрос\n1;где купить билет\n2;погода в москве сегодня\n3;как дела\n"),
    ("cp1253", "id;ερώτηση\n1;πού είναι το ξενοδοχείο\n2;καλημέρα\n"),
    ("cp932", "id,検索\n1,東京の天気はどうですか\n2,美味しいラーメン屋\n"),
    ("gb18030", "id,查询\n1,北京今天天气怎么样\n2,最好的餐厅在哪里\n"),
    ("euc_kr", "id,질문\n1,오늘 날씨 어때요\n2,맛있는 식당 추천\n"),
]
WESTERN = [
    FEW_UMLAUTS,
    "größe,höhe\n1,2\n",
    "name\ncafé\n",
    "id,q\n1,où est la forêt près d'ici\n2,élève à l'école\n",
    "id;preis\n1;5 €\n2;7 €\n3;“so”\n",
    "¿Dónde está el baño?\nmañana\n",
    "name;city\nMüller;München\nJosé;São Paulo\nÅsa;Malmö\n",
    "ä\nö\nü\nabc\n",
    "id,q\n1,it’s “fine” – ok…\n",
    "navn\nSmørrebrød på Ærø\n",
    "id;q\n1;SÃO PAULO NÃO\n2;ÄRGER\n",
    "t\n20 °C\n",
]


def encoding(data: bytes) -> str:
    return opened(data, "a.csv").shape.encoding


@pytest.mark.parametrize("text", WESTERN)
def test_it_knows_windows_1252_from_a_few_letters(text: str) -> None:
    assert (encoding(text.encode("cp1252")), encoding(text.encode())) == ("cp1252", "utf-8")


@pytest.mark.parametrize(("codec", "text"), LANGUAGES)
def test_it_asks_the_library_about_other_languages(codec: str, text: str) -> None:
    assert (encoding(text.encode(codec)), encoding(text.encode())) == (codec, "utf-8")


@pytest.mark.parametrize("text", ["id,q\n1,ä\n", "id,検索\n1,東京の天気は\n2,美味しい\n", "id,запрос\n1,где\n"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_it_knows_utf_16_without_a_mark(text: str, codec: str) -> None:
    assert encoding(text.encode(codec)) == codec


@pytest.mark.parametrize(
    ("mark", "codec", "found"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
    ],
)
def test_it_goes_by_a_mark(mark: bytes, codec: str, found: str) -> None:
    reader = opened(mark + "größe,q\n1,ä\n".encode(codec), "a.csv")

    assert (reader.shape.encoding, reader.columns) == (found, ("größe", "q"))


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ("utf-8", codecs.BOM_UTF8 + "é,q\n1,a\n".encode()),
        ("utf-16", codecs.BOM_UTF16_BE + "é,q\n1,a\n".encode("utf-16-be")),
        ("utf-16-le", codecs.BOM_UTF16_LE + "é,q\n1,a\n".encode("utf-16-le")),
        ("utf-16", "é,q\n1,a\n".encode("utf-16-be")),
        ("latin-1", "é,q\n1,a\n".encode("latin-1")),
        ("windows-1252", "é,q\n1,a\n".encode("cp1252")),
    ],
)
def test_it_leaves_no_mark_in_the_first_cell(given: str, data: bytes) -> None:
    assert opened(data, "a.csv", encoding=given).columns == ("é", "q")


def test_it_follows_what_is_given_against_its_own_guess() -> None:
    assert values("id,q\n1,Ą\n".encode("cp1250"), "a.csv", encoding="cp1250") == [["1", "Ą"]]


def test_it_looks_on_where_the_first_part_is_ascii() -> None:
    data = b"id,q\n" + b"1,plain\n" * 200_000 + "2,größer\n".encode("cp1252")
    found = opened(data, "a.csv")

    assert (found.shape.encoding, [row.payload for row in found][-1]) == ("cp1252", '["2","größer"]')


def test_it_stays_with_utf_8_where_later_bytes_are() -> None:
    assert encoding(b"id,q\n" + b"1,plain\n" * 200_000 + "2,größer\n".encode()) == "utf-8"


def test_it_takes_strange_bytes_far_behind_for_bad_rows() -> None:
    data = b"id,q\n" + b"1,plain\n" * 200_000 + b"2,\xff\xfe\n"

    assert reasons(data, "a.csv") == {200_001: "is not valid UTF-8: byte 0xFF in column q"}


@pytest.mark.parametrize("junk", [b"\xff", b"\xff\xfe", b"\xc3(", b"\xf0\x9f", b"x\xfey", b"\xe2\x28\xa1"])
def test_it_rejects_a_row_of_junk_in_a_file_of_utf_8(junk: bytes) -> None:
    data = "id,q\n1,größe\n2,Zürich\n3,naïve\n".encode() + b"4," + junk + b"\n5,b\n"

    assert reasons(data, "a.csv").keys() == {4}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_it_rejects_half_a_character_at_the_end(encoding: str) -> None:
    data = "id,q\n1,größe\n2,Zürich\n".encode(encoding) + b"\0"

    assert list(reasons(data, "a.csv", encoding=encoding)) == [3]


def test_it_rejects_what_windows_1252_does_not_have() -> None:
    data = "id,q\n1,größe\n2,Zürich\n3,schöner, blöder, grüner Käse für Österreich\n".encode("cp1252") + b"4,a\x81b\n"

    assert reasons(data.replace(b", ", b" "), "a.csv") == {4: "is not valid Windows-1252: byte 0x81 in column q"}


@pytest.mark.parametrize(
    "codec", ["shift_jis", "gb18030", "utf-7", "hz", "iso2022_jp", "cp037", "unicode_escape", "idna"]
)
def test_it_meets_no_exception_of_a_codec(codec: str) -> None:
    data = b"id,q\n1,a\xff\x81\x00+\n\\x \xed\xa0\x80~{\n2,b\n"

    with contextlib.suppress(Unreadable):
        assert rows(data, "a.csv", encoding=codec)


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "cp1252", "utf-7"])
def test_it_keeps_the_rows_apart_around_broken_bytes(codec: str) -> None:
    good = "id,q\n1,a\n2,b\n".encode(codec)

    assert len(rows(good + b"\xff+\n" + good[-8:], "a.csv", encoding=codec)) >= 2
