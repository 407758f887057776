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
from batchweb.accounts.hashing import InTurn, Turns, turn
from batchweb.concurrency import Full


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


def test_it_takes_those_first_who_were_here_before() -> None:
    turns, begun = Turns(1), []
    assert turns.take(False, 0, bool)

    def wait(name: str, is_first: bool) -> None:
        assert turns.take(is_first, 60, bool)
        begun.append(name)
        turns.give_back()

    with ThreadPoolExecutor(3) as pool:
        for name in ("one", "two"):
            pool.submit(wait, name, False)
        known = pool.submit(wait, "known", True)
        while not turns.waiting_first:
            threading.Event().wait(0.01)
        turns.give_back()
        known.result(60)
    assert begun[0] == "known"
    assert len(begun) == 3


def test_it_hashes_nothing_for_who_has_hung_up() -> None:
    asked = deadlines.Deadline()
    asked.hang_up()
    deadlines.current.set(asked)
    turns: Any = Turns(0)
    with patch.object(hashing, "_turns", turns), pytest.raises(Full):
        turn(60).__enter__()
    deadlines.current.set(None)
