"""What several commands ask: about a file and its processor, which raise ValueError with a sentence, and of a job."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.conf import settings

from jobs import files, processors
from jobs.files.shape import FORMATS, Given
from jobs.forms import RunSettingsForm, guess
from jobs.items import row_ranges
from jobs.models import Job
from jobs.models.job import Refused
from jobs.processors import Processor

DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "pipe": "|", "\\t": "\t"}
SETTINGS: Final = {
    "workers": ("N", "items at a time, up to JOBS_MAX_WORKERS"),
    "attempts": ("N", "how often an item is tried"),
    "timeout": ("S", "seconds for one attempt"),
    "rate": ("R", "starts per second"),
    "limit_share": ("P", "pause when more than P %% of the items fail"),
    "limit_sample": ("N", "least items for such a share"),
    "limit_count": ("N", "pause after N failures"),
    "limit_streak": ("K", "pause after K failures of one cause in a row"),
}


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
    add_parameters(parser)


def add_parameters(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the processor"
    )


def add_dials(parser: ArgumentParser, names: Iterable[str]) -> None:
    """How a job runs from now on, as far as somebody says so."""
    for name in names:
        letter, text = SETTINGS[name]
        parser.add_argument(option(name), metavar=letter, help=text)


def add_failures(parser: ArgumentParser) -> None:
    """Which failures; all of them where nothing is said."""
    parser.add_argument("--cause", type=int, metavar="N", help="only those that failed for this cause")
    parser.add_argument("--rows", default="", metavar="ROWS", help="only these rows, as 3,17,20-25")


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def changes(job: Job, options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What is to change of the job's settings. Raises Refused."""
    asked = {name: options[name] for name in names if options[name] is not None}
    form = RunSettingsForm(job, {name: "" if text == "none" else text for name, text in asked.items()})
    for name, errors in form.errors.items():
        raise Refused(f"{option(name)} {asked[name]}: {errors[0]}")
    return form.changes


def failures(job: Job, options: Mapping[str, Any]) -> dict[str, Any]:
    """Which failures, as the verbs of `dispatch` want it. Raises Refused."""
    rows = row_ranges.parse(options["rows"], job.total)
    return {"cause": options["cause"], "positions": [at for span in rows for at in range(*span)] or None}


def given(options: dict[str, Any]) -> Given:
    """How to read the file, as far as somebody said so. Raises ValueError."""
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
    """The processor of this name. Raises ValueError."""
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
    """Input → column: as chosen, else by name. Raises ValueError."""
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
    """The name itself, where the file has such a column. Raises ValueError."""
    if name and name not in shape.columns:
        raise ValueError(f"The file has no column “{name}”. It has: {', '.join(shape.columns)}.")
    return name


def check_sheet(shape: files.Shape, name: str) -> None:
    """Only workbooks have sheets; a wrong name of one is found when it is read. Raises ValueError."""
    if name and shape.format != "xlsx":
        raise ValueError(f"The file is no workbook, so it has no sheet “{name}”.")
