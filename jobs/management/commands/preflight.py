"""manage.py preflight FILE: what a file is and which of its rows are bad. Nothing is stored."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.files import KEY_COLUMNS, Check, Group, Preflight, Readable, Report, Shape, Unreadable
from jobs.ingest import limits, validation
from jobs.management import options as asked

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Command(BaseCommand):
    help = "Read a file without storing it: format, columns, rows, and every bad row."
    # No database is needed, so none is looked at.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        asked.add_file(parser)
        asked.add_processor(parser, required=False)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the report. Exit status 1 with a sentence where the file cannot be a job."""
        path = Path(options["file"])
        try:
            with path.open("rb") as stream:
                found = _begun(stream, path.name, options)
                deque(found, maxlen=0)
        except Unreadable as reason:
            raise CommandError(str(reason)) from None
        except OSError as error:
            raise CommandError(f"{path} cannot be opened: {error.strerror}.") from None
        report = found.report()
        self.stdout.write(json.dumps(report.to_dict(), ensure_ascii=False) if options["json"] else _page(report))


def _begun(stream: Readable, name: str, options: dict[str, Any]) -> Preflight:
    """The preflight of the file, read and checked as the options say. Raises CommandError where they make no sense."""
    try:
        reader = limits.open_rows(stream, name, **asked.given(options))
        asked.check_sheet(reader.shape, options["sheet"])
        keys = (asked.known_column(reader.shape, options["key"]), *KEY_COLUMNS)
        return Preflight(reader, keys, _check(reader.shape, options))
    except ValueError as error:
        raise CommandError(str(error)) from None


def _check(shape: Shape, options: dict[str, Any]) -> Check | None:
    """What the processor refuses, where one is named."""
    if not options["processor"]:
        return None
    processor = asked.known(options["processor"])
    processor.clean(asked.pairs(options["param"], "--param"))
    return validation.check_for(processor, shape, asked.mapped(processor, shape, asked.pairs(options["map"], "--map")))


def _page(report: Report) -> str:
    facts = {
        "format": report.format + (f" in {report.compression}" if report.compression else ""),
        "sheet": _shown(report.sheet),
        "rows in": _shown(report.path),
        "encoding": report.encoding,
        "delimiter": NAMES.get(report.delimiter, report.delimiter),
        "header": ("yes" if report.header else "no") if report.tabular else "",
        "columns": ", ".join(map(_shown, report.columns)),
        "rows": f"{report.rows:,}",
        "blank": f"{report.blank:,}" if report.blank else "",
        "bad rows": f"{report.bad_total:,}",
        "same keys": f"{report.duplicates:,}" if report.duplicates else "",
    }
    lines = [f"{name + ':':<11}{fact}" for name, fact in facts.items() if fact]
    return "\n".join([*lines, *(line for group in report.groups for line in _group(group))])


def _group(group: Group) -> Iterator[str]:
    yield f"{group.kind}: {group.count:,}"
    for problem in group.first:
        yield f"  row {problem.row:,} {_shown(problem.reason)}"
    if group.count > len(group.first):
        yield f"  … and {group.count - len(group.first):,} more"


def _shown(text: str) -> str:
    """What a file says must not move the cursor or change colours in a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
