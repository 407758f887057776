"""manage.py preflight FILE: what a file is and which of its rows are bad. Nothing is stored."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.files import Report, Unreadable, preflight

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
        "format": report.format,
        "encoding": report.encoding,
        "delimiter": NAMES.get(report.delimiter, report.delimiter),
        "header": ("yes" if report.header else "no") if report.delimiter else "",
        "columns": ", ".join(map(_shown, report.columns)),
        "rows": f"{report.rows:,}",
        "bad rows": f"{report.bad_total:,}",
    }
    lines = [f"{name + ':':<11}{fact}" for name, fact in facts.items() if fact]
    lines += [f"  row {row:,} {_shown(reason)}" for row, reason in report.bad]
    if report.bad_total > len(report.bad):
        lines.append(f"  … and {report.bad_total - len(report.bad):,} more")
    return "\n".join(lines)


def _shown(text: str) -> str:
    """What a file says must not move the cursor or change colours in a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
