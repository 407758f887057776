"""Passwords are hashed in turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password

from batchweb import deadlines
from batchweb.accounts import hashing
from batchweb.accounts.hashing import InTurn, Turns, Waiting, turn
from batchweb.concurrency import Full, Lately


def test_it_hashes_as_django_does() -> None:
    encoded = InTurn().encode("tea-and-biscuits", "salt", 10)
    assert encoded == PBKDF2PasswordHasher().encode("tea-and-biscuits", "salt", 10)
    assert check_password("tea-and-biscuits", encoded)


@pytest.mark.django_db
def test_it_leaves_a_core_to_pages_and_says_so() -> None:
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(turn(0))
            except Full:
                break
        with pytest.raises(Full, match="Try again in a moment"):
            stack.enter_context(turn(0))
    assert make_password("tea-and-biscuits", hasher="pbkdf2_sha256").startswith("pbkdf2_sha256$")


def begun_in_turn(*waiting: Waiting) -> list[Waiting]:
    """In which order these had their turn, who came while nobody could have one."""
    turns, begun = Turns(1), []
    for place, times in LATELY.items():
        for _ in range(times):
            turns.lately.add(place)
    assert turns.take(Waiting(False, "somewhere"), 0, bool)

    def wait(one: Waiting) -> None:
        assert turns.take(one, 60, bool)
        begun.append(one)
        turns.give_back()

    with ThreadPoolExecutor(len(waiting)) as pool:
        for number, one in enumerate(waiting, 1):
            pool.submit(wait, one)
            while len(turns.line) < number:
                threading.Event().wait(0.01)
        turns.give_back()
    return begun


LATELY = {"attacker": 9, "other attacker": 5}


def test_it_takes_those_first_who_were_here_before() -> None:
    one, two, known = Waiting(False, "a"), Waiting(False, "b"), Waiting(True, "attacker")
    assert begun_in_turn(one, two, known)[0] is known


def test_it_takes_those_first_from_where_nobody_tried_of_late() -> None:
    many = [Waiting(False, place) for place in ("attacker", "attacker", "other attacker", "attacker")]
    new = Waiting(False, "new")
    assert begun_in_turn(*many, new)[:2] == [new, many[2]]


def test_it_takes_in_their_order_who_are_alike() -> None:
    alike = [Waiting(False, place) for place in ("a", "b", "c")]
    assert begun_in_turn(*alike) == alike


def test_it_forgets_after_a_while_who_tried() -> None:
    now = [0.0]
    lately = Lately(60, lambda: now[0])
    for now[0] in (0.0, 59.0, 61.0):
        lately.add("a")
    assert lately.of("a") == 3
    now[0] = 121.0
    assert lately.of("a") == 1
    now[0] = 300.0
    assert lately.of("a") == 0


def test_it_hashes_nothing_for_who_has_hung_up() -> None:
    asked = deadlines.Deadline()
    asked.hang_up()
    deadlines.current.set(asked)
    turns: Any = Turns(0)
    with patch.object(hashing, "_turns", turns), pytest.raises(Full):
        turn(60).__enter__()
    deadlines.current.set(None)
