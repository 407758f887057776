"""What `make image-test` promises where there is no container engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image.bases import KINDS, STAND_INS, named
from tests.platform.test_make import make
from tests.services import ROOT


def test_it_says_why_the_image_was_not_tested(tmp_path: Path) -> None:
    alone = {"PATH": str(tmp_path), "BATCHWEB_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.image"], cwd=ROOT, env={**os.environ, **alone}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "The image was not tested: " in done.stdout
    assert done.stderr == ""


def test_it_says_that_the_tests_leave_the_image_out() -> None:
    assert (
        "make test: the image and the compose stack were not started; make image-test does that."
        in make("-n", "test").stdout
    )


def test_it_knows_every_base_image() -> None:
    assert [tag.split(":")[0] for tag in named(ROOT)] == ["postgres", "python", "valkey/valkey"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_make_every_base_image(kind: str) -> None:
    text = (STAND_INS / f"{kind}.Dockerfile").read_text()
    assert f"Stands in for {'valkey/' if kind == 'valkey' else ''}{kind}:" in text
