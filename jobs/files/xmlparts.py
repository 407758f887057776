"""The XML parts of a workbook, streamed by expat."""

from __future__ import annotations

import zipfile
from typing import Final, Protocol
from xml.parsers import expat

from jobs.files.memory import Growth
from jobs.files.shape import Unreadable

PIECE: Final = 1 << 16
TOKEN: Final = 4_000_000  # bytes of a tag or a comment, which expat holds until it ends
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main "  # before each element's own name


class Handlers(Protocol):
    """What is told of elements and of the text in them."""

    def start(self, name: str, attributes: dict[str, str], /) -> None: ...
    def end(self, name: str, /) -> None: ...
    def data(self, text: str, /) -> None: ...


def parser_of(handlers: Handlers) -> expat.XMLParserType:
    """A parser that tells these. Raises Unreadable over entities: they are what makes gigabytes of a kilobyte."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = handlers.start
    parser.EndElementHandler = handlers.end
    parser.CharacterDataHandler = handlers.data
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def parse(archive: zipfile.ZipFile, path: str, handlers: Handlers) -> None:
    """Reads a whole part. Raises Unreadable where a tag of it does not end."""
    parser, growth = parser_of(handlers), Growth()
    read = 0
    with archive.open(path) as stream:
        while piece := stream.read(PIECE):
            parser.Parse(piece, False)
            growth.check()
            read += len(piece)
            if read - max(0, parser.CurrentByteIndex) > TOKEN:
                raise Unreadable("The workbook is damaged: a part of it does not end.")
    parser.Parse(b"", True)


def local(name: str) -> str:
    """The name of an element or an attribute without its namespace."""
    return name.rpartition(" ")[2]


def _refuse(*_: object) -> None:
    raise Unreadable("The workbook declares XML entities, which none may.")
