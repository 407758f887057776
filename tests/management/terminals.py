"""Commands as a terminal runs them: what they print, and the status that scripts see."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command

from jobs import tasks


@dataclass
class Done:
    status: int
    out: str
    err: str


def run(name: str, *arguments: str, meanwhile: Callable[[], Any] = tasks.work) -> Done:
    """Runs the command; whenever it waits, `meanwhile` happens: usually a worker works."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with patch("jobs.management.base.time.sleep", lambda seconds: meanwhile()):
        try:
            call_command(name, *arguments, stdout=out, stderr=err)
        except SystemExit as end:
            status = int(end.code or 0)
        except CommandError as error:
            status = error.returncode
            err.write(str(error))
    return Done(status, out.getvalue(), err.getvalue())
