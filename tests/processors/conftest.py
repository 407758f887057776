"""Every test starts from the same environment, and leaves no processor behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.processors import registry

SETTINGS = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL", "FETCH_ALLOW_PRIVATE", "FETCH_ALLOW_PORTS", "MAX_WORKERS")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SETTINGS, *PROXIES, "SIMULATE_ALLOW_FAULTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def processors() -> Iterator[None]:
    known = dict(registry._processors)
    yield
    registry._processors.clear()
    registry._processors.update(known)
