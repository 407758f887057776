"""One thread for each request, and nothing of the database left in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

from batchweb.concurrency import let_go
from batchweb.deadlines import App


class OwnThread:
    """Has all that blocks in a request done by one thread, whose connection goes back to the pool in the end.

    Django does so when it has answered. A thread that ends otherwise, because the client has hung up, would take its
    connection along, and twenty of them are all that there are.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with ThreadSensitiveContext() as context:
            try:
                await self.app(scope, receive, send)
            finally:
                if context in SyncToAsync.context_to_thread_executor:  # else no thread was needed
                    await sync_to_async(let_go)()


@asynccontextmanager
async def short_thread() -> AsyncIterator[None]:
    """What blocks inside is done by a thread that ends then, and not by that of the request, which stays for its rest.

    asgiref's contexts cannot be nested. Where there is none, as in tests, nothing changes.
    """
    if SyncToAsync.thread_sensitive_context.get(None) is None:
        yield
        return
    token = SyncToAsync.thread_sensitive_context.set(context := ThreadSensitiveContext())
    try:
        yield
    finally:
        SyncToAsync.thread_sensitive_context.reset(token)
        if executor := SyncToAsync.context_to_thread_executor.pop(context, None):
            executor.shutdown(wait=False)
