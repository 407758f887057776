"""A request keeps no thread while its body arrives."""

from __future__ import annotations

import threading

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

from batchweb.body_limits import asked
from batchweb.threads import short_thread


async def test_a_question_about_a_body_leaves_no_thread() -> None:
    async with ThreadSensitiveContext() as context:
        threads = [await asked(threading.current_thread) for _ in range(3)]
        assert context not in SyncToAsync.context_to_thread_executor
    for thread in threads:
        assert thread is not threading.main_thread()
        thread.join(60)
        assert not thread.is_alive()


async def test_the_thread_of_a_request_is_another_one() -> None:
    async with ThreadSensitiveContext():
        mine = await sync_to_async(threading.current_thread)()
        async with short_thread():
            assert await sync_to_async(threading.current_thread)() is not mine
        assert await sync_to_async(threading.current_thread)() is mine
