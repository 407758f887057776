"""Standard output: whole, in UTF-8, and no fuss when nobody reads on."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management.base import CommandError

from jobs import terminal
from tests.base import People, worked
from tests.commands.terminals import run


class StandardOutputTests(People):
    def test_it_writes_the_result_and_nothing_else(self) -> None:
        job = worked(self.alice, "name,simulate\nÄpfel,ok\n")
        for name in ("results", "failed"):
            with patch("sys.stdout", io.StringIO()) as out:
                done = run(name, job.code, "-")
            assert (done.status, done.out) == (0, "")
            assert out.getvalue().endswith("\r\n")
            assert not out.getvalue().endswith("\r\n\n")
        assert "Äpfel" in self.written(job.code)

    def written(self, code: str) -> str:
        with patch("sys.stdout", io.StringIO()) as out:
            run("results", code, "-")
        return out.getvalue()


def test_it_is_quiet_when_nobody_reads_on() -> None:
    code = (
        "import django; django.setup(); from jobs import terminal; "
        "terminal.write(('x' * 100_000 for _ in range(100)), '-')"
    )
    command = f"{shlex.quote(sys.executable)} -c \"{code}\" | head -c 10"
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("x" * 10, "")


@pytest.mark.parametrize("fails", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_it_leaves_nothing_half_written(tmp_path: Path, fails: BaseException) -> None:
    def chunks() -> Iterator[str]:
        yield "begin"
        raise fails

    with pytest.raises((CommandError, KeyboardInterrupt)):
        terminal.write(chunks(), str(tmp_path / "out.csv"))
    assert list(tmp_path.iterdir()) == []
