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

from jobs.engine.progress import ConsoleBar
from jobs.management import base
from tests.base import People, csv_of, loaded, worked
from tests.management.terminals import Done, run


class WatchTests(People):
    def test_it_leaves_what_was_done_before_out_of_the_rate(self) -> None:
        job = worked(self.alice, csv_of(7, lambda at: "ok" if at else "fail:Broken"))
        with patch("jobs.management.base.ConsoleBar", wraps=ConsoleBar) as bar:
            run("retry", job.code, "--watch")
        assert (bar.call_args.args, bar.call_args.kwargs["initial"]) == ((7, "rows.csv"), 6)

    def test_it_draws_the_whole_job(self) -> None:
        job = loaded(self.alice, csv_of(7, lambda at: "ok" if at else "fail:Broken"))
        run("pause", job.code)
        with patch("sys.stderr", io.StringIO()) as err:
            run("resume", job.code, "--watch")
        assert "rows.csv: 100%" in err.getvalue()
        assert "7/7" in err.getvalue()
        assert "failed=1" in err.getvalue()


class StandardOutputTests(People):
    def test_it_writes_the_result_and_nothing_else(self) -> None:
        job = worked(self.alice, "name,simulate\nÄpfel,ok\n")
        for name in ("results", "failed"):
            done, text = self.written(name, job.code)
            assert (done.status, done.out) == (0, "")
            assert text.endswith("\r\n")
            assert not text.endswith("\r\n\n")
        assert "Äpfel" in self.written("results", job.code)[1]

    def written(self, name: str, code: str) -> tuple[Done, str]:
        with patch("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii")) as out:
            done = run(name, code, "-")
        return done, out.buffer.getvalue().decode()


def test_it_is_quiet_when_nobody_reads_on() -> None:
    code = (
        "import django; django.setup(); from jobs.management import base; "
        "base.write((b'x' * 100_000 for _ in range(100)), '-')"
    )
    command = f'{shlex.quote(sys.executable)} -c "{code}" | head -c 10'
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("x" * 10, "")


@pytest.mark.parametrize("fails", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_it_leaves_nothing_half_written(tmp_path: Path, fails: BaseException) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"begin"
        raise fails

    with pytest.raises((CommandError, KeyboardInterrupt)):
        base.write(chunks(), str(tmp_path / "out.csv"))
    assert list(tmp_path.iterdir()) == []
