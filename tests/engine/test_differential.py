"""The engine against a loop that does one item after the other and knows nothing of threads."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.engine import Attempt, Policy, RetryLater, batch_process_large_dataset, batch_process_parallel, context, run
from jobs.engine.throttle import Throttle

# What an item does at each of its attempts, the last one again and again: milliseconds to take, then how to end.
Script = tuple[tuple[int, str], ...]
Story = tuple[int, Any, bool]  # number of the attempt, its value or kind of failure, whether it is the last

ERRORS: dict[str, type[BaseException]] = {"value": ValueError, "key": KeyError, "exit": SystemExit}
KINDS = ("ValueError", "KeyError", "SystemExit", "*")

steps = st.tuples(st.sampled_from([0, 0, 0, 1, 3]), st.sampled_from(["ok", "ok", "ok", *ERRORS]))
throttled = st.tuples(st.just(0), st.sampled_from(["later", "alone"]))
policies = st.builds(
    Policy,
    workers=st.integers(1, 9),
    attempts=st.integers(1, 4),
    backoff=st.just(0.001),
    timeout=st.sampled_from([None, 20.0]),
    rate=st.sampled_from([None, None, 2_000]),
    retry_on=st.lists(st.sampled_from(KINDS), max_size=3).map(tuple),
)


def scripts(step: st.SearchStrategy[tuple[int, str]]) -> st.SearchStrategy[list[Script]]:
    script = st.lists(step, max_size=4).flatmap(lambda first: steps.map(lambda last: (*first, last)))
    return st.lists(script, max_size=30)


def play(script: Script, call: int) -> str:
    """Do what the script says for this call (from 1) of its item."""
    milliseconds, end = script[min(call, len(script)) - 1]
    if milliseconds:
        time.sleep(milliseconds / 1000)
    if end in ("later", "alone"):
        raise RetryLater(0.002, alone=end == "alone")
    if end in ERRORS:
        raise ERRORS[end]
    return f"{end} at {call}"


def play_by_number(script: Script) -> str:
    return play(script, context.current().number)


class Actor:
    """Counts the calls of each item, because a throttled attempt has the same number as the one after it."""

    def __init__(self) -> None:
        self._calls: defaultdict[int, int] = defaultdict(int)

    def __call__(self, script: Script) -> str:
        position = context.current().position
        self._calls[position] += 1
        return play(script, self._calls[position])


def loop(script: Script, policy: Policy) -> list[Story]:
    """What a person would do with one item and no haste."""
    stories: list[Story] = []
    call = number = 1
    while True:
        try:
            return [*stories, (number, play(script, call), True)]
        except RetryLater:
            stories.append((number, "throttled", False))
        except BaseException as error:
            kind = type(error).__name__
            last = number >= policy.attempts or not {kind, "*"} & set(policy.retry_on)
            stories.append((number, kind, last))
            if last:
                return stories
            number += 1
        call += 1


def stories_of(attempts: Iterable[Attempt]) -> dict[int, list[Story]]:
    found: dict[int, list[Story]] = {}
    for attempt in attempts:
        what = attempt.failure.kind if attempt.failure else attempt.value
        found.setdefault(attempt.position, []).append((attempt.number, what, attempt.retry_at is None))
    return found


def expected(items: list[Script], policy: Policy) -> dict[int, list[Story]]:
    return {position: loop(script, policy) for position, script in enumerate(items)}


@settings(max_examples=80, deadline=None)
@given(scripts(steps), policies)
def test_it_tries_what_a_loop_tries(items: list[Script], policy: Policy) -> None:
    assert stories_of(run(enumerate(items), play_by_number, policy)) == expected(items, policy)


@settings(max_examples=60, deadline=None)
@given(scripts(steps | throttled), policies)
def test_it_tries_what_a_loop_tries_at_a_busy_service(items: list[Script], policy: Policy) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # The pace that is learned from refusals has tests of its own, and takes its time.
        patch.setattr(Throttle, "rate", lambda throttle, now: None)
        assert stories_of(run(enumerate(items), Actor(), policy)) == expected(items, policy)


@settings(max_examples=4, deadline=None)
@given(scripts(steps), policies)
def test_it_tries_what_a_loop_tries_in_processes(items: list[Script], policy: Policy) -> None:
    policy = replace(policy, workers=2)
    assert stories_of(run(enumerate(items), play_by_number, policy, executor="process")) == expected(items, policy)


@pytest.mark.parametrize("batch", [batch_process_parallel, batch_process_large_dataset])
@settings(max_examples=40, deadline=None)
@given(items=scripts(steps), workers=st.integers(1, 9))
def test_it_returns_what_a_loop_returns_in_its_order(batch: Any, items: list[Script], workers: int) -> None:
    found = list(batch(items, play_by_number, workers, fallback_fn=lambda item, error: type(error).__name__))
    assert found == [loop(script, Policy())[-1][1] for script in items]
