"""What the parts of a workbook say of each other: where the sheets are, what they are called, where their texts are.

However long these parts are, only what leads to the sheets is kept of them.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from jobs.files.xmlparts import local, parse

TYPES: Final = "[Content_Types].xml"
USUAL: Final = "xl/workbook.xml"
LONGEST: Final = 255  # characters of a sheet's name and of what it is found by; Excel has 31
_KIND: Final = "application/vnd."
SHARED_STRINGS: Final = f"{_KIND}openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
WORKBOOKS: Final = (
    f"{_KIND}ms-excel.template.macroEnabled.main+xml",
    f"{_KIND}openxmlformats-officedocument.spreadsheetml.template.main+xml",
    f"{_KIND}ms-excel.sheet.macroEnabled.main+xml",
    f"{_KIND}openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
)


class Part(NamedTuple):
    """A sheet: its name, and where in the archive its cells are."""

    name: str
    path: str
    hidden: bool


class _Quiet:
    """Of a part in which elements say all there is to know."""

    def end(self, _: str) -> None: ...

    def data(self, _: str) -> None: ...


class Manifest(_Quiet):
    """Where the parts are that say where the others are."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = attributes.get("ContentType", "")
        if kind not in WORKBOOKS and kind != SHARED_STRINGS:
            return
        if local(name) == "Override":
            self._paths.setdefault(kind, attributes.get("PartName", "")[: 2 * LONGEST].lstrip("/"))
        elif local(name) == "Default" and kind in WORKBOOKS:
            # Some programs give all XML this kind.
            self._paths.setdefault(USUAL, USUAL)

    @property
    def workbook(self) -> str:
        return next((self._paths[kind] for kind in (*WORKBOOKS, USUAL) if kind in self._paths), "")

    @property
    def texts(self) -> str:
        return self._paths.get(SHARED_STRINGS, "")


class Book(_Quiet):
    """The sheets as the workbook lists them, as many as may be, and its calendar."""

    def __init__(self, most: int) -> None:
        self.epoch: datetime = CALENDAR_WINDOWS_1900
        self.listed: dict[str, tuple[str, bool]] = {}  # what it is found by → name, whether it is hidden
        self.count = 0
        self._most = most

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if local(name) == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            self.epoch = CALENDAR_MAC_1904
        elif local(name) == "sheet":
            key = next((value for at, value in attributes.items() if local(at) == "id"), "")
            if key and len(key) <= LONGEST:
                self._add(key, attributes)

    def _add(self, key: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.listed) <= self._most:
            hidden = attributes.get("state", "visible") != "visible"
            self.listed.setdefault(key, (attributes.get("name", "")[:LONGEST], hidden))


class Relations(_Quiet):
    """Where in the archive the parts are that are found by these keys, if they are sheets."""

    def __init__(self, folder: str, wanted: Collection[str], present: Collection[str]) -> None:
        self.paths: dict[str, str] = {}
        self._folder = folder
        self._wanted = wanted
        self._present = present

    def start(self, name: str, attributes: dict[str, str]) -> None:
        key, target = attributes.get("Id", ""), attributes.get("Target", "")
        sheet = local(name) == "Relationship" and attributes.get("Type", "").endswith("/worksheet")
        if not sheet or key not in self._wanted or attributes.get("TargetMode") == "External":
            return
        relative = posixpath.normpath(posixpath.join(self._folder, target))
        path = target[1:] if target.startswith("/") else relative
        if path in self._present:
            self.paths[key] = path


def manifest(archive: zipfile.ZipFile) -> Manifest:
    """Where the workbook's own part is, and that of its texts."""
    found = Manifest()
    parse(archive, TYPES, found)
    return found


def relations_of(path: str) -> str:
    """Where in the archive it stands what another part refers to."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, "_rels", f"{name}.rels")


def sheets(archive: zipfile.ZipFile, path: str, book: Book) -> list[Part]:
    """Those that the workbook at this path lists and that are there; what else it says is noted in `book`."""
    parse(archive, path, book)
    found = Relations(posixpath.dirname(path), book.listed.keys(), set(archive.namelist()))
    parse(archive, relations_of(path), found)
    return [Part(name, found.paths[key], hidden) for key, (name, hidden) in book.listed.items() if key in found.paths]
