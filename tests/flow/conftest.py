from __future__ import annotations

import pytest


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter lease, so that a death is noticed within the patience of a test."""
    monkeypatch.setenv("JOBS_LEASE_SECONDS", "6")
