from __future__ import annotations

from jobs.engine.window import Window


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


def test_it_never_gets_wider_than_a_small_multiple() -> None:
    window = Window(5, 0.0)
    window.measure(1.0, 1_000_000)
    assert window.size == 80


def test_it_takes_its_time_to_measure() -> None:
    window = Window(5, 0.0)
    window.measure(0.01, 1_000)
    assert window.size == 20


def test_it_gets_narrow_again() -> None:
    window = Window(5, 0.0)
    window.measure(1.0, 1_000_000)
    window.measure(2.0, 1_000_001)
    assert window.size == 20


def test_it_follows_the_workers() -> None:
    window = Window(5, 0.0)
    window.resize(50)
    assert window.size == 200


def test_it_is_refilled_in_lumps_but_never_late() -> None:
    assert [(Window(workers, 0.0).low, Window(workers, 0.0).size) for workers in (1, 50)] == [(3, 4), (150, 200)]
