from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from jobs.engine import Policy, run
from jobs.processors import Call, Failed, ParameterError, Task
from jobs.processors import simulate as module
from jobs.processors.simulate import HANG, Simulate, drawn
from tests.processors.attempts import context, final, kinds, values


class Recorded:
    """A simulation that only notes what it would do."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.faults: list[str] = []
        self.known = Simulate(
            self.slept.append, lambda: self.faults.append("hang"), lambda: self.faults.append("crash")
        )

    def __call__(self, order: str | None = None, position: int = 0, **parameters: Any) -> Any:
        return self.known.process({"simulate": order}, context(self.known, position=position, **parameters))


def outcomes(count: int, **parameters: Any) -> list[str]:
    """What happens to the first `count` items: ok, fail, hang or crash."""
    happened = []
    for position in range(count):
        simulated = Recorded()
        try:
            simulated(position=position, **parameters)
            happened.append(simulated.faults[0] if simulated.faults else "ok")
        except Failed:
            happened.append("fail")
    return happened


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATE_ALLOW_FAULTS", "1")


def test_it_works_on_any_file() -> None:
    assert values(final(Call("simulate", {}), [{}, {"other": 5}])) == [
        {"position": 0, "slept": 0.01},
        {"position": 1, "slept": 0.01},
    ]


def test_it_sleeps_as_long_as_it_is_told() -> None:
    simulated = Recorded()
    simulated(seconds="2.5")
    assert simulated.slept == [2.5]


@pytest.mark.parametrize("parameters", [{"seconds": 0}, {"seconds": 0, "jitter": 0.5}])
def test_it_does_not_sleep_for_no_time(parameters: dict[str, Any]) -> None:
    """Even a sleep of 0 seconds would hand the interpreter to another thread."""
    simulated = Recorded()
    assert (simulated(**parameters), simulated.slept) == ({"position": 0, "slept": 0.0}, [])


def test_it_varies_within_the_jitter() -> None:
    simulated = Recorded()
    for position in range(200):
        simulated(position=position, seconds=1, jitter=0.2)
    assert 0.8 <= min(simulated.slept) < 0.85
    assert 1.15 < max(simulated.slept) <= 1.2


def test_it_varies_the_same_way_every_time() -> None:
    assert Recorded()(position=7, jitter=0.5) == Recorded()(position=7, jitter=0.5)


@pytest.mark.parametrize("order", ["ok", " OK ", "", None])
def test_it_succeeds_when_the_row_says_ok(order: str | None) -> None:
    assert Recorded()(order) == {"position": 0, "slept": 0.01}


def test_it_lets_the_row_overrule_the_shares() -> None:
    assert Recorded()("ok", fail=1)["position"] == 0


@pytest.mark.parametrize(
    ("order", "kind"), [("fail:Gone", "Gone"), ("fail: no answer ", "no answer"), ("fail", "simulated")]
)
def test_it_fails_with_the_kind_of_the_row(order: str, kind: str) -> None:
    with pytest.raises(Failed) as caught:
        Recorded()(order)
    assert caught.value.failure_kind == kind


def test_it_takes_as_long_as_the_row_says() -> None:
    assert Recorded()("slow:2.5", seconds=1)["slept"] == 2.5


@pytest.mark.parametrize("order", ["maybe", "slow", "slow:", "slow:x", "slow:-1", "slow:nan", "slow:1e9", "hung"])
def test_it_refuses_an_order_that_it_does_not_know(order: str) -> None:
    assert Simulate().validate({"simulate": order}).startswith("“simulate” must be ok, fail:KIND, hang, crash or slow")


@pytest.mark.parametrize("order", ["ok", "fail", "fail:x", "hang", "crash", "slow:0", "", None])
def test_it_accepts_every_order_that_it_knows(order: str | None) -> None:
    assert Simulate().validate({"simulate": order}) == ""


@pytest.mark.parametrize(("share", "failures"), [(0.05, 50), (0.3, 300), (0.001, 1), (1, 1000)])
def test_it_fails_exactly_the_share_that_it_is_told(share: float, failures: int) -> None:
    assert outcomes(1000, fail=share).count("fail") == failures


def test_it_fails_the_same_items_every_time() -> None:
    assert outcomes(100, fail=0.3) == outcomes(100, fail=0.3)


def test_it_fails_more_items_of_a_larger_share_and_the_same_ones() -> None:
    few, many = outcomes(200, fail=0.1), outcomes(200, fail=0.3)
    assert all(more == "fail" for less, more in zip(few, many, strict=True) if less == "fail")


@pytest.mark.usefixtures("faults")
def test_it_keeps_the_shares_apart() -> None:
    happened = outcomes(1000, fail=0.25, hang=0.25, crash=0.25)
    assert all(200 < happened.count(fate) < 300 for fate in ("ok", "fail", "hang", "crash"))


@pytest.mark.parametrize("fault", ["hang", "crash"])
@pytest.mark.usefixtures("faults")
def test_it_breaks_where_that_is_allowed(fault: str) -> None:
    simulated = Recorded()
    simulated(fault)
    assert simulated.faults == [fault]


@pytest.mark.parametrize("fault", ["hang", "crash"])
def test_it_breaks_nothing_where_that_is_not_allowed(fault: str) -> None:
    simulated = Recorded()
    with pytest.raises(Failed, match=f"^“{fault}” works only where SIMULATE_ALLOW_FAULTS=1 is set"):
        simulated(fault)
    assert simulated.faults == []


@pytest.mark.parametrize("fault", ["hang", "crash"])
def test_it_breaks_nothing_by_share_where_that_is_not_allowed(fault: str) -> None:
    assert kinds(final(Call("simulate", {fault: 1}), [{}])) == ["not allowed"]


def test_it_refuses_shares_that_are_more_than_everything() -> None:
    with pytest.raises(ParameterError, match="together are more than 1"):
        Simulate().clean({"fail": "0.5", "hang": "0.3", "crash": "0.3"})


@pytest.mark.parametrize("share", ["-0.1", "1.1", "half"])
def test_it_refuses_what_is_no_share(share: str) -> None:
    with pytest.raises(ParameterError):
        Simulate().clean({"fail": share})


def test_it_computes_as_long_as_it_is_told() -> None:
    start = time.thread_time()
    Recorded()(cpu=0.05)
    assert time.thread_time() - start >= 0.05


@pytest.mark.parametrize(("cpu", "kind"), [(0, "io"), ("0", "io"), (None, "io"), (0.1, "cpu"), ("0.1", "cpu")])
def test_it_wants_processes_only_for_computing(cpu: Any, kind: str) -> None:
    assert Simulate().kind_of({"cpu": cpu}) == kind


def test_it_draws_evenly() -> None:
    numbers = [drawn(position, "fate") for position in range(1000)]
    assert 0 <= min(numbers) < max(numbers) < 1
    assert 0.47 < sum(numbers) / 1000 < 0.53


def test_it_hangs_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("threading.Event.wait", lambda self, timeout: waits.append(timeout))
    module._hang()
    assert waits == [HANG]


def test_it_crashes_by_a_signal_that_nothing_catches(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr(os, "_exit", sent.append)
    module._crash()
    assert sent == [signal.SIGKILL, 137]


@pytest.mark.usefixtures("faults")
def test_it_takes_only_its_own_item_with_it_in_a_process() -> None:
    tasks = [Task({"simulate": order}) for order in ("ok", "crash", "fail:x", "ok")]
    attempts = list(run(enumerate(tasks), Call("simulate", {"cpu": 0.01}), Policy(workers=2), executor="process"))
    assert kinds(sorted(attempts, key=lambda attempt: attempt.position)) == ["", "worker died", "x", ""]


@pytest.mark.usefixtures("faults")
def test_it_can_be_stopped_while_it_hangs_in_a_process() -> None:
    tasks = [Task({"simulate": "hang"}), Task({})]
    policy = Policy(workers=2, timeout=1.0)
    attempts = list(run(enumerate(tasks), Call("simulate", {}), policy, executor="process"))
    assert kinds(sorted(attempts, key=lambda attempt: attempt.position)) == ["timeout", ""]
