"""manage.py preflight FILE: what a file is and which of its rows are bad. Nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.files import Group, Report, Unreadable, preflight

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Command(BaseCommand):
    help = "Read a file without storing it: format, columns, rows, and every bad row."
    # No database is needed, so none is looked at.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the report. Exit status 1 with a sentence where the file cannot be a job."""
        try:
            report = preflight(options["file"])
        except Unreadable as reason:
            raise CommandError(str(reason)) from None
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be opened: {error.strerror}.") from None
        self.stdout.write(json.dumps(report.to_dict(), ensure_ascii=False) if options["json"] else _page(report))


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
