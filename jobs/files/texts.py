"""The texts that the cells of a workbook share."""

from __future__ import annotations

import re
import zipfile
from array import array
from typing import Final

from jobs.files.payload import first_surrogate
from jobs.files.xmlparts import MAIN, parse

LONG: Final = 1_000  # characters of a text that is kept as it is: cells that share it have it together
TEXT, SOUND = MAIN + "t", MAIN + "rPh"
_ITEM: Final = MAIN + "si"
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Texts:
    """Texts by their number, in about the bytes that they have in UTF-8: a list of short ones takes five times that."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._long: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        long = self._long.get(number) if self._long else None
        if long is not None:
            return long
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")

    def add(self, text: str) -> None:
        """The next one."""
        if len(text) > LONG:
            self._long[len(self)] = text
        else:
            self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))


class _Items:
    """What expat says of them; how they are pronounced is left out, and what is beyond any cell's limit."""

    def __init__(self, most: int) -> None:
        self.found = Texts()
        self._most = most + 1
        self._left = self._most
        self._runs: list[str] = []
        self._wanted = self._sound = False

    def start(self, name: str, _: dict[str, str]) -> None:
        self._wanted = name == TEXT and not self._sound
        self._sound = self._sound or name == SOUND

    def end(self, name: str) -> None:
        self._wanted = False
        if name == SOUND:
            self._sound = False
        elif name == _ITEM:
            self.found.add(unescaped("".join(self._runs)))
            self._runs.clear()
            self._left = self._most

    def data(self, text: str) -> None:
        if self._wanted and self._left > 0:
            self._runs.append(text[: self._left])
            self._left -= len(text)


def shared_texts(archive: zipfile.ZipFile, path: str, most: int) -> Texts:
    """All texts of a workbook that are kept apart from its sheets, with `most` characters or one more at the most."""
    items = _Items(most)
    parse(archive, path, items)
    return items.found


def unescaped(text: str) -> str:
    """XML cannot hold control characters: Excel writes _x000D_ for one, and so the halves of a surrogate pair."""
    if "_x" not in text:
        return text
    found = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text)
    if not first_surrogate(found):
        return found
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
