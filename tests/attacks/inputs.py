"""Files that are made to hurt whoever looks at them, small as they are."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Sequence
from typing import Final

from tests.files.corpus import parts, zipped

MB: Final = 1_000_000
STRINGS: Final = "xl/sharedStrings.xml"

# Cells of up to 130,000 characters for which patterns that backtrack begin anew at each character.
NASTY: Final = {
    "blanks": "1" + " " * 130_000 + "x",
    "blanks at the end": "x" + " " * 130_000 + "x",
    "no-break blanks": "1" + "\u00a0" * 65_000 + "x",
    "tabs": "1" + "\t" * 130_000 + "x",
    "a currency and blanks": "$" + " " * 130_000 + "x",
    "dots of an address": "www." + "." * 80_000,
    "dots and letters": "www." + "a." * 60_000 + " ",
    "digits": "1" * 130_000 + "x",
    "thousands": "1" + ",111" * 32_000 + "x",
    "a date": "1-1-1 " * 20_000 + "x",
    "signs": "+-" * 60_000,
    "at signs": "a@" * 60_000,
    "at signs and dots": "a@" + "a." * 60_000 + "@",
    "a mail address": "mailto:" + "a@a." * 30_000,
    "a scheme": "a+" * 60_000 + "://",
    "slashes": "a:" + "/" * 120_000,
    "an identifier": "00000000-0000-0000-" + "0-" * 60_000 + "x",
    "brackets": "[" * 120_000,
    "braces": "{" * 120_000 + "}",
    "JSON without end": '["' + "\\" * 120_000,
    "guards": "'" * 130_000 + "x",
    "an exponent": "1e" * 60_000,
    "words": "word " * 25_000,
    "thoughts": "<think>" * 18_000,
    "templates": "{{" * 60_000,
    "percentages": "1%" * 60_000 + "x",
    "combining marks": "e" + "\u0301" * 60_000,
}

# Formats of numbers, of which Excel allows 255 characters.
FORMATS: Final = {
    "brackets": "[" * 500_000,
    "closed brackets": "[h]" * 160_000 + "x",
    "quotes": '"' * 500_001,
    "quoted": '"a' * 250_000,
    "backslashes": "\\" * 500_001,
    "sections": ";" * 500_000,
    "letters of dates": "d" * 500_000 + "[",
    "underscores": "_(" * 250_000,
    "blanks": " " * 500_000 + "[",
}


def quoted(cell: str) -> str:
    """The cell as CSV holds it."""
    return '"' + cell.replace('"', '""') + '"'


def in_header(cell: str) -> bytes:
    return f"{quoted(cell)},b\n1,2\n3,4\n".encode()


def in_row(cell: str, rows: int = 1) -> bytes:
    return ("a,b\n" + f"{quoted(cell)},2\n" * rows).encode()


def in_json(cell: str, rows: int = 1) -> bytes:
    return (json.dumps({"a": cell, "b": 2}) + "\n").encode() * rows


def in_text(cell: str) -> bytes:
    return f"first\n{cell}\nlast\n".encode()


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def styled(code: str) -> bytes:
    """A workbook whose one number is shown in this format."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    styles = (
        f'<styleSheet {main}><numFmts count="1"><numFmt numFmtId="164" formatCode="{escaped(code)}"/></numFmts>'
        '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>'
    )
    rows = '<row r="1"><c r="A1" t="str"><v>when</v></c></row><row r="2"><c r="A2" s="1"><v>45000.5</v></c></row>'
    return zipped(parts(rows) | {"xl/styles.xml": styles})


def shared_text(rows: int, text: str, columns: int = 1, header: Sequence[str] = ("text",)) -> dict[str, str | bytes]:
    """The parts of a workbook in which every cell of so many rows refers to one long text."""
    names = [*header, *(f"text {at}" for at in range(2, columns + 1))][:columns]
    heads = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in names)
    row = "<row>" + '<c t="s"><v>0</v></c>' * columns + "</row>"
    return parts(f"<row>{heads}</row>" + row * rows, [text])


def shared_elsewhere(made: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """The same with the part of shared texts under another name, which the content types tell."""
    other = {name.replace(STRINGS, "xl/worksheets/other.xml"): content for name, content in made.items()}
    types = str(other["[Content_Types].xml"]).replace("/" + STRINGS, "/xl/worksheets/other.xml")
    relations = str(other["xl/_rels/workbook.xml.rels"]).replace("sharedStrings.xml", "worksheets/other.xml")
    return other | {"[Content_Types].xml": types, "xl/_rels/workbook.xml.rels": relations}


def padded(part: str, megabytes: int) -> bytes:
    """A workbook of which one part is that long for nothing."""
    made = dict(parts('<row><c t="str"><v>a</v></c></row>' * 3))
    content = re.sub(r"<(\w+)([^<>]*)/>\Z", r"<\1\2></\1>", str(made.get(part, "<x></x>")))
    at = content.rindex("</")
    made[part] = content[:at] + f"<!-- {sparse(megabytes * MB)} -->" + content[at:]
    return zipped(made)


def many_sheets(megabytes: int) -> bytes:
    """A workbook whose list of sheets is as long as that."""
    made, chance = dict(parts('<row><c t="str"><v>a</v></c></row>' * 3)), random.Random(7)
    sheet = '<sheet name="S" sheetId="1" r:id="rId1"/>'
    block = sheet * 30
    more = "".join(f"{block}<!-- {chance.getrandbits(64)} -->" for _ in range(megabytes * MB // len(block)))
    made["xl/workbook.xml"] = str(made["xl/workbook.xml"]).replace(sheet, more)
    return zipped(made)


def attributes(megabytes: int) -> bytes:
    """A workbook with one element of a long attribute."""
    made = dict(parts('<row><c t="str"><v>a</v></c></row>' * 3))
    made["xl/workbook.xml"] = str(made["xl/workbook.xml"]).replace('name="S"', f'name="{sparse(megabytes * MB)}"')
    return zipped(made)


def packed(row: str | bytes, rows: int = 1, level: int = 9) -> bytes:
    """The same row so many times, in gzip."""
    return gzip.compress((row.encode() if isinstance(row, str) else row) * rows, level)


def sparse(size: int, seed: int = 7) -> str:
    """Letters that compress by some 150, which is just what is allowed."""
    chance = random.Random(seed)
    return "".join(f"{chance.getrandbits(32):08x}" + "x" * 1_400 for _ in range(size // 1_408))


def short_texts(megabytes: int) -> dict[str, str | bytes]:
    """The parts of a workbook with very many short shared texts."""
    chance = random.Random(7)
    block = "<si><t>éa</t></si>" * 80  # letters that are no ASCII take most in memory
    texts = "".join(f"<si><t>{chance.getrandbits(32):08x}</t></si>{block}" for _ in range(megabytes * MB // 1_540))
    made = shared_text(10, "a")
    return made | {STRINGS: str(made[STRINGS]).replace("</sst>", texts + "</sst>")}
