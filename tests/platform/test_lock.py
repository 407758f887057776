from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchweb import lock


def test_it_refuses_a_second_holder(tmp_path: Path) -> None:
    held = lock.hold(tmp_path / "lock")
    with pytest.raises(lock.AlreadyLocked):
        lock.hold(tmp_path / "lock")
    os.close(held)


def test_it_is_free_again_when_it_is_closed(tmp_path: Path) -> None:
    os.close(lock.hold(tmp_path / "lock"))
    os.close(lock.hold(tmp_path / "lock"))


def test_it_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = "import pathlib, sys; from batchweb import lock; lock.hold(pathlib.Path(sys.argv[1])); print(1); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    os.close(lock.hold(tmp_path / "lock"))
