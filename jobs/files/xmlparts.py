"""The XML parts of a workbook, streamed by expat."""

from __future__ import annotations

import zipfile
from typing import Protocol
from xml.parsers import expat

from jobs.files.shape import Unreadable

PIECE = 1 << 16
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main "  # before each element's own name


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
    """Reads a whole part."""
    parser = parser_of(handlers)
    with archive.open(path) as stream:
        while piece := stream.read(PIECE):
            parser.Parse(piece, False)
    parser.Parse(b"", True)


def _refuse(*_: object) -> None:
    raise Unreadable("The workbook declares XML entities, which none may.")
