"""Servers and a browser for the tests, each started by a context manager that never leaves anything behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


class Missing(Exception):
    """Something that the tests need cannot be had on this machine."""


def cache() -> Path:
    """Where downloads are kept between test runs."""
    folder = Path(os.environ.get("BATCHWEB_CACHE") or ROOT / ".cache").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def skip_or_fail(error: Missing) -> None:
    """Skips the test that asks; with CI=true it fails."""
    if os.environ.get("CI"):
        pytest.fail(str(error))
    pytest.skip(str(error))
