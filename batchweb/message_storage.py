"""Messages that wait for the next page: the latest ones. Who never looks at a page collects no more of them."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.messages.storage.fallback import FallbackStorage

KEPT: Final = 20


class Latest(FallbackStorage):
    """Keeps so many of them."""

    def _store(self, messages: list[Any], response: Any, *args: Any, **kwargs: Any) -> list[Any]:
        unsent: list[Any] = super()._store(messages[-KEPT:], response, *args, **kwargs)  # type: ignore[misc]
        return unsent
