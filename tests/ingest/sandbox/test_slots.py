"""How many children a person may have, so that others have theirs."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from jobs.ingest.sandbox import Slots
from jobs.ingest.sandbox.slots import Full


def test_it_gives_one_person_no_more_than_their_share() -> None:
    slots = Slots(size=4, share=2, queue=1, timeout=0)
    with slots.slot("ann"), slots.slot("ann"):
        with pytest.raises(Full) as caught, slots.slot("ann"):
            pass
        assert caught.value.own
        with slots.slot("bob"):
            assert slots.taken == {"ann": 2, "bob": 1}
    assert not slots.taken


def test_it_gives_all_together_no_more_than_there_are() -> None:
    slots = Slots(size=2, share=1, queue=1, timeout=0)
    with slots.slot("ann"), slots.slot("bob"), pytest.raises(Full) as caught, slots.slot("cy"):
        pass
    assert not caught.value.own


def test_it_lets_who_waits_go_on_when_a_place_comes_free() -> None:
    slots = Slots(size=4, share=1, queue=1, timeout=60)
    held, began = ExitStack(), threading.Event()
    held.enter_context(slots.slot("ann"))

    def second() -> None:
        with slots.slot("ann"):
            began.set()

    waiter = threading.Thread(target=second)
    waiter.start()
    assert not began.wait(0.1)
    held.close()
    waiter.join()
    assert began.is_set()


def test_it_refuses_at_once_where_enough_of_a_persons_wait() -> None:
    slots = Slots(size=4, share=1, queue=1, timeout=60)
    order: list[str] = []

    def second() -> None:
        with slots.slot("ann"):
            order.append("second")

    with slots.slot("ann"):
        waiter = threading.Thread(target=second)
        waiter.start()
        while not slots.waiting["ann"]:
            pass
        with pytest.raises(Full), slots.slot("ann"):
            pass
        order.append("refused")
        with slots.slot("bob"):
            order.append("bob")
    waiter.join()
    assert order == ["refused", "bob", "second"]
    assert not slots.waiting
