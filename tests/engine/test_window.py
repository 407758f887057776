from __future__ import annotations

import pytest

from jobs.engine.window import Window


def widest(workers: int) -> Window:
    """A window after ten seconds of items that take no time."""
    window = Window(workers, 0.0)
    for second in range(1, 11):
        window.measure(second, second * 1_000_000)
    return window


def test_it_begins_narrow() -> None:
    assert Window(5, 0.0).size == 20


def test_it_stays_narrow_for_slow_items() -> None:
    window = Window(5, 0.0)
    window.measure(1.0, 50)
    assert window.size == 20


def test_it_holds_the_work_of_a_moment() -> None:
    window = Window(50, 0.0)
    window.measure(1.0, 5000)
    assert window.size == 750


def test_it_gets_wider_step_by_step() -> None:
    window = Window(5, 0.0)
    sizes = []
    for second in range(1, 5):
        window.measure(second, second * 1_000_000)
        sizes.append(window.size)
    assert sizes == [80, 320, 1000, 1000]


@pytest.mark.parametrize(("workers", "size"), [(1, 1000), (62, 1000), (100, 1600)])
def test_it_never_gets_wider_than_a_thousand_or_a_small_multiple(workers: int, size: int) -> None:
    assert widest(workers).size == size


@pytest.mark.parametrize(("seconds", "finished"), [(0.004, 1_000), (0.05, 19)])
def test_it_does_not_judge_by_little(seconds: float, finished: int) -> None:
    window = Window(5, 0.0)
    window.measure(seconds, finished)
    assert window.size == 20


def test_it_gets_narrow_again() -> None:
    window = widest(5)
    window.measure(11.0, 10_000_001)
    assert window.size == 20


def test_it_follows_the_workers() -> None:
    window = Window(5, 0.0)
    window.resize(50)
    assert window.size == 200


def test_it_is_refilled_in_lumps_but_never_late() -> None:
    assert [(Window(workers, 0.0).low, Window(workers, 0.0).size) for workers in (1, 50)] == [(3, 4), (150, 200)]


@pytest.mark.parametrize(("speed", "quorum"), [(100, 1), (2_000, 4), (10_000, 20), (1_000_000, 250)])
def test_it_wakes_the_caller_for_what_is_done_in_a_moment(speed: int, quorum: int) -> None:
    window = Window(50, 0.0)
    for second in range(1, 11):
        window.measure(second, second * speed)
    assert window.quorum == quorum
