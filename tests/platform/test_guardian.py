from __future__ import annotations

import os
import subprocess
import sys

import pytest

from batchweb import guardian
from tests.system import until


def test_it_knows_the_groups_that_still_run() -> None:
    assert guardian.watch(["+10\n", "+20\n", "-10\n", "+30\n"]) == {20, 30}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_finds_a_process_by_its_mark() -> None:
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, guardian.TREE: "a-b"})
    try:
        until(lambda: guardian.family("a-b") == [process.pid], within=5, what="it is found")
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_finds_a_process_by_the_beginning_of_its_mark() -> None:
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, guardian.TREE: "a-b.c"})
    try:
        until(lambda: guardian.family("a-b") == [process.pid], within=5, what="it is found")
    finally:
        process.kill()
        process.wait()


def test_it_leaves_processes_of_another_mark_alone() -> None:
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, guardian.TREE: "a-bc"})
    try:
        guardian.kill([], "a-b")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_it_needs_no_package_to_run() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", guardian.__file__, "x"], input="", text=True, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, "")
