"""Numbers of a workbook as people see them: their style alone tells a date from a number.

Only what is needed of the styles is read. openpyxl reads them all, and gives up over a colour that it does not know.
"""

from __future__ import annotations

import zipfile
from datetime import datetime, time, timedelta
from typing import NamedTuple

from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import from_excel

from jobs.files.xmlparts import MAIN, parse

STYLES = "xl/styles.xml"
LONGEST = 255  # characters of a format, says Excel; openpyxl looks at each more than once
FORMATS = 5_000
MOST = 70_000  # styles of cells; Excel has 65,490
EXACT = 10**15  # whole numbers below are exact in a float, and shown without an exponent

_FORMAT, _LIST, _STYLE = (MAIN + name for name in ("numFmt", "cellXfs", "xf"))


class Styles(NamedTuple):
    """How numbers are shown: day 0 of the calendar, and the styles that make a date or a length of time of one."""

    epoch: datetime
    dates: frozenset[int]
    lengths: frozenset[int]


class _Formats:
    """The formats of numbers that are defined, and for each style of cells the number of its format."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.styles: list[str] = []
        self._listed = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == _FORMAT and len(self.codes) < FORMATS:
            code = attributes.get("formatCode", "")
            self.codes[attributes.get("numFmtId", "")[:LONGEST]] = code if len(code) <= LONGEST else ""
        elif name == _LIST:
            self._listed = True
        elif name == _STYLE and self._listed and len(self.styles) < MOST:
            self.styles.append(attributes.get("numFmtId", "0")[:LONGEST])

    def end(self, name: str) -> None:
        if name == _LIST:
            self._listed = False

    def data(self, text: str) -> None: ...

    def code(self, number: str) -> str:
        if number in self.codes or not number.isdecimal() or len(number) > 9:
            return self.codes.get(number, "")
        return builtin_format_code(int(number)) or ""


def styles_of(archive: zipfile.ZipFile, epoch: datetime) -> Styles:
    """The styles of a workbook."""
    formats = _Formats()
    if STYLES in archive.namelist():
        parse(archive, STYLES, formats)
    codes = [formats.code(number) for number in formats.styles]
    known = {code for code in set(codes) if is_date_format(code)}
    dates = frozenset(at for at, code in enumerate(codes) if code in known)
    return Styles(epoch, dates, frozenset(at for at in dates if is_timedelta_format(codes[at])))


def number_text(text: str, style: int, styles: Styles) -> str:
    """A number as people write it: a date where its style makes it one, and no digits that only binary has."""
    if len(text) > LONGEST:
        return text
    if style in styles.dates:
        return _date_text(text, style in styles.lengths, styles.epoch)
    if text.isdecimal():
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < EXACT else repr(number)


def _date_text(text: str, length: bool, epoch: datetime) -> str:
    try:
        moment = from_excel(float(text), epoch, timedelta=length)
    except (ValueError, OverflowError):
        return text
    if isinstance(moment, timedelta):
        return _length_text(moment)
    if isinstance(moment, datetime):
        return str(moment.date() if moment.time() == time() else moment)
    return str(moment)


def _length_text(length: timedelta) -> str:
    """Hours, minutes and seconds, also of more than a day."""
    seconds = abs(length).days * 86_400 + abs(length).seconds
    sign = "-" if length < timedelta() else ""
    return f"{sign}{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
