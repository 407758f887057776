"""What the commands that read a file ask about it and about the processor. Raise ValueError with a sentence."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any, Final

from django.conf import settings

from jobs import files, processors
from jobs.files.shape import FORMATS, Given
from jobs.forms import guess
from jobs.processors import Processor

DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "pipe": "|", "\\t": "\t"}


def add_file(parser: ArgumentParser) -> None:
    """The file and how to read it, for what is not recognised as it should be."""
    parser.add_argument("file", metavar="FILE", help="CSV, TSV, JSON Lines, JSON, XLSX or text, or one of them in gzip")
    parser.add_argument("--format", default="", metavar="NAME", help=f"{', '.join(FORMATS)}; recognised unless given")
    parser.add_argument("--encoding", default="", metavar="NAME", help="as utf-8 or windows-1252; else recognised")
    parser.add_argument(
        "--delimiter", default="", metavar="CHAR", help="comma, semicolon, tab, bar or any character; else recognised"
    )
    parser.add_argument(
        "--header", action=BooleanOptionalAction, help="whether the first row names the columns; else recognised"
    )
    parser.add_argument("--sheet", default="", metavar="NAME", help="the sheet of a workbook; else the first one")
    parser.add_argument("--key", default="", metavar="COLUMN", help="the column that tells rows apart; else by name")


def add_processor(parser: ArgumentParser, required: bool) -> None:
    """The processor, the columns that its inputs come from, and its parameters."""
    parser.add_argument(
        "--processor", required=required, default="", metavar="NAME", help=" or ".join(processors.names())
    )
    parser.add_argument(
        "--map", action="append", default=[], metavar="INPUT=COLUMN", help="an input's column; else by its name"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the processor"
    )


def given(options: dict[str, Any]) -> Given:
    """How to read the file, as far as somebody said so."""
    if options["format"] and options["format"] not in FORMATS:
        raise ValueError(f"“{options['format']}” is no format; known are {', '.join(FORMATS)}.")
    delimiter = DELIMITERS.get(options["delimiter"], options["delimiter"])
    if len(delimiter) > 1:
        raise ValueError(
            f"“{delimiter}” is no delimiter: give one character, or one of comma, semicolon, tab, bar and pipe."
        )
    return {
        "format": options["format"],
        "encoding": options["encoding"],
        "delimiter": delimiter,
        "header": options["header"],
        "sheet": options["sheet"],
    }


def known(name: str) -> Processor:
    """The processor of this name."""
    try:
        return processors.get(name)
    except processors.UnknownProcessor as error:
        advice = "" if settings.JOBS_PROCESSORS else " For one of your own, set JOBS_PROCESSORS in this terminal, too."
        raise ValueError(f"{error}{advice}") from error


def pairs(texts: list[str], option: str) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ValueError(f"{option} wants NAME=VALUE, not “{text}”.")
    return dict(text.split("=", 1) for text in texts)


def mapped(processor: Processor, shape: files.Shape, chosen: dict[str, str]) -> dict[str, str]:
    """Input → column: as chosen, else by name."""
    names = {one.name for one in processor.inputs}
    for name, column in chosen.items():
        if name not in names:
            raise ValueError(f"{processor.name} has no input “{name}”. It has: {', '.join(sorted(names)) or 'none'}.")
        known_column(shape, column)
    mapping = guess(processor, shape.columns) | chosen
    for one in processor.inputs:
        if one.required and one.name not in mapping:
            raise ValueError(
                f"No column fits the input “{one.name}”. Name one with --map {one.name}=COLUMN; "
                f"the file has: {', '.join(shape.columns)}."
            )
    return mapping


def known_column(shape: files.Shape, name: str) -> str:
    """The name itself, where the file has such a column."""
    if name and name not in shape.columns:
        raise ValueError(f"The file has no column “{name}”. It has: {', '.join(shape.columns)}.")
    return name


def check_sheet(shape: files.Shape, name: str) -> None:
    """Only workbooks have sheets; a wrong name of one is found when it is read."""
    if name and shape.format != "xlsx":
        raise ValueError(f"The file is no workbook, so it has no sheet “{name}”.")
