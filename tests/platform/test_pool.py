from __future__ import annotations

from batchweb.celery import app
from batchweb.celery_pool import Pool


def test_it_is_the_pool_of_every_worker() -> None:
    assert app.conf.worker_pool == f"{Pool.__module__}:{Pool.__name__}"


def test_it_forgives_a_stop_that_comes_while_it_starts() -> None:
    pool = Pool(1, app=app)
    pool.on_terminate()
    pool.register_with_event_loop(None)
    assert pool.did_start_ok()
