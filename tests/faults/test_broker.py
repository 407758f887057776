"""The broker is only a wake-up call: whatever becomes of it, work goes on, and comes back soon after it."""

from __future__ import annotations

import time

import pytest

from tests.faults.case import Case

pytestmark = pytest.mark.faults
BACK = 15.0  # seconds after its return


@pytest.mark.fast
@pytest.mark.parametrize("data", ["with its data", "empty"])
def test_it_outlives_the_broker(case: Case, data: str) -> None:
    """Valkey killed and started again"""
    valkey = case.system.valkey
    case.begin()
    case.moment()
    valkey.end()
    second = case.second()
    if data == "empty":
        valkey.forget()
    valkey.start()
    case.starts(second, BACK, valkey.returned)
    case.expect()


def test_it_outlives_a_frozen_broker(case: Case) -> None:
    """Valkey frozen for 60 s"""
    case.begin()
    case.moment()
    with case.system.valkey.frozen():
        begun = time.monotonic()
        second = case.second()
        case.settles(60)
        time.sleep(max(0.0, begun + 60 - time.monotonic()))
    case.starts(second, BACK, case.system.valkey.returned)
    case.expect()


def test_it_outlives_a_broker_that_comes_and_goes(case: Case) -> None:
    """Valkey killed 20 times at random"""
    valkey = case.system.valkey
    case.begin(seconds=0.5)
    case.moment(0.05, 0.2)
    for _ in range(20):
        valkey.end()
        time.sleep(case.rng.uniform(0.0, 1.0))
        valkey.start()
        time.sleep(case.rng.uniform(0.1, 1.0))
    valkey.end()
    second = case.second()
    valkey.start()
    case.starts(second, BACK, valkey.returned)
    case.expect()


def test_it_outlives_a_full_broker(case: Case) -> None:
    """Valkey full for 8 s"""
    client = case.system.valkey.client()
    case.begin()
    case.moment()
    client.config_set("maxmemory", "1")
    second = case.second()
    time.sleep(8)
    client.config_set("maxmemory", "0")
    returned = time.monotonic()
    client.close()
    case.starts(second, BACK, returned)
    case.expect()


@pytest.mark.fast
def test_it_needs_only_half_of_the_wakeups(case: Case) -> None:
    """Half of the wake-ups dropped"""
    with case.system.fault("lost-wakeups", "0.5"):
        case.begin()
        case.moment()
        begun = time.monotonic()
        case.starts(case.second(), BACK, begun)
        case.settles()
    case.expect()
