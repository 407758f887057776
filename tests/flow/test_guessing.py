"""Many guesses at once, at a running system: no more of them are looked at than of guesses one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from batchweb.accounts.throttling import PAIR
from tests.system import System, until

pytestmark = pytest.mark.flow
GUESSES = 24


def guess(system: System, number: int) -> str:
    client = system.stranger()
    client.get("/accounts/login/")
    return system.post(client, "/accounts/login/", {"username": "gwen", "password": f"wrong {number}"}).text


def test_it_looks_at_no_more_guesses_at_once_than_one_after_the_other(own_system: System) -> None:
    own_system.person("gwen")
    with ThreadPoolExecutor(GUESSES) as pool:
        answers = list(pool.map(lambda number: guess(own_system, number), range(GUESSES)))
    assert sum("Too many tries" in answer for answer in answers) == GUESSES - PAIR.free
    until(lambda: own_system.log().count('refused name="gwen"') == GUESSES - PAIR.free, what="all are refused")
    assert own_system.log().count('failed name="gwen"') == PAIR.free
    client = own_system.stranger()
    client.get("/accounts/login/")
    answer = own_system.post(client, "/accounts/login/", {"username": "gwen", "password": "tea-and-biscuits"})
    assert "Too many tries" in answer.text


def test_its_sign_in_link_works_and_is_logged_without_its_token(own_system: System) -> None:
    token = own_system.link.partition("sesame=")[2]
    client = own_system.stranger()
    assert client.get(own_system.link).url.path == "/"
    until(lambda: 'signed-in name="admin"' in own_system.log(), what="the sign-in is logged")
    assert sum(token in line for line in own_system.lines) == 1  # the line for the person at the terminal
