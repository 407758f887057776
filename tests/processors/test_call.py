from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from jobs.engine import Failure, Policy, context, run
from jobs.processors import Call, Context, Parameter, ParameterError, Processor, Task, UnknownProcessor, register
from tests.processors.attempts import IMPATIENT, final, kinds, values

FAILURE = Failure("ValueError", "no", "")
CHILD = """
import pickle, sys
from jobs.engine import Policy, run
call, task = pickle.load(sys.stdin.buffer)
print(*[attempt.value[0] for attempt in run([(0, task)], call, Policy())])
"""


class Probe(Processor):
    """Gives its context back, and counts its clients."""

    name = "probe"
    parameters = (Parameter("times", type=int, default=1), Parameter("token", secret=True))

    def __init__(self) -> None:
        self.opened: list[threading.Thread] = []
        self.closed: list[Any] = []
        self.value: Any = None

    def open(self, parameters: Mapping[str, Any]) -> threading.Thread:
        self.opened.append(threading.current_thread())
        return threading.current_thread()

    def close(self, client: Any) -> None:
        self.closed.append(client)

    def process(self, inputs: Mapping[str, Any], context: Context) -> Any:
        context.logger.warning("seen")
        assert context.client is threading.current_thread()
        return self.value or {
            "position": context.position,
            "key": context.key,
            "number": context.number,
            "idempotency_key": context.idempotency_key,
            "times": context.parameters["times"],
        }

    def fallback(self, inputs: Mapping[str, Any], failure: Failure) -> Any:
        return {"instead": inputs["a"]}


class Stubborn(Probe):
    def close(self, client: Any) -> None:
        raise OSError("already gone")


@pytest.fixture
def probe() -> Probe:
    return register(Probe())


def test_it_hands_the_context_to_the_processor(probe: Probe) -> None:
    assert values(final(Call("probe", {"times": "3"}), [{}, {}]))[1] == {
        "position": 1,
        "key": "",
        "number": 1,
        "idempotency_key": "",
        "times": 3,
    }


def test_it_hands_over_the_keys_of_the_task(probe: Probe) -> None:
    call = Call("probe", {})
    attempts = list(_run(call, Task({}, key="k-1", idempotency_key="job-0-run")))
    call.close()
    value = json.loads(attempts[0].value[0])
    assert (value["key"], value["idempotency_key"]) == ("k-1", "job-0-run")


def test_it_returns_text_and_keys(probe: Probe) -> None:
    probe.value = {"b": 1, "a": "ö"}
    assert final(Call("probe", {}), [{}])[0].value == ('{"b": 1, "a": "ö"}', ("b", "a"))


def test_it_keeps_what_the_processor_logs(probe: Probe) -> None:
    assert "seen" in final(Call("probe", {}), [{}])[0].log


def test_it_keeps_what_the_module_of_a_processor_logs(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def process(inputs: Mapping[str, Any], context: Context) -> str:
        logging.getLogger("plugins.fix").warning("half of it")
        return "ok"

    monkeypatch.setattr(probe, "process", process)
    assert final(Call("probe", {}), [{}])[0].log == "WARNING plugins.fix: half of it"


def test_it_keeps_what_a_thread_of_the_processor_logs(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def process(self: Probe, inputs: Mapping[str, Any], context: Context) -> None:
        other = threading.Thread(target=lambda: context.logger.warning("from afar"))
        other.start()
        other.join()

    monkeypatch.setattr(Probe, "process", process)
    assert "from afar" in final(Call("probe", {}), [{}])[0].log


def test_it_makes_no_logger_for_an_item_that_logs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "AttemptLogger", None)
    assert kinds(final(Call("simulate", {"seconds": 0}), [{}])) == [""]


def test_it_fails_one_item_for_a_value_that_cannot_be_stored(probe: Probe) -> None:
    probe.value = {"a": float("nan")}
    assert kinds(final(Call("probe", {}), [{}])) == ["not storable"]


def test_it_holds_results_to_its_limit(probe: Probe) -> None:
    probe.value = "x" * 100
    assert kinds(final(Call("probe", {}, limit=50), [{}])) == ["not storable"]


def test_it_fails_an_item_whose_inputs_do_not_fit() -> None:
    attempt = final(Call("rewrite-query", {}), [{"query": " "}])[0]
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.message) == ("invalid input", "“query” is empty.")


def test_it_opens_one_client_for_each_thread(probe: Probe) -> None:
    final(Call("probe", {}), [{}] * 50, Policy(workers=4))
    assert len(probe.opened) == len(set(probe.opened)) <= 4


def test_it_closes_every_client(probe: Probe) -> None:
    final(Call("probe", {}), [{}] * 50, Policy(workers=4))
    assert sorted(map(id, probe.closed)) == sorted(map(id, probe.opened))


def test_it_closes_without_raising(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "close", Stubborn.close)
    assert kinds(final(Call("probe", {}), [{}])) == [""]


def test_it_fails_the_item_when_no_client_opens(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "open", Stubborn.close)
    assert kinds(final(Call("probe", {}), [{}], IMPATIENT)) == ["OSError"]


def test_it_opens_anew_after_it_was_closed(probe: Probe) -> None:
    call = Call("probe", {})
    final(call, [{}])
    final(call, [{}])
    assert len(probe.opened) == len(probe.closed) == 2


def test_it_says_early_that_the_processor_is_unknown() -> None:
    with pytest.raises(UnknownProcessor):
        Call("gone", {}).prepare()


def test_it_says_early_that_a_parameter_is_wrong(probe: Probe) -> None:
    with pytest.raises(ParameterError):
        Call("probe", {"times": "many"}).prepare()


def test_it_lets_no_processor_change_the_parameters_of_others(probe: Probe) -> None:
    _, parameters = Call("probe", {}).prepare()
    with pytest.raises(TypeError):
        parameters["times"] = 2  # type: ignore[index]


def test_it_stores_the_fallback(probe: Probe) -> None:
    assert Call("probe", {}).fallback(Task({"a": "b"}), FAILURE) == ('{"instead": "b"}', ("instead",))


def test_it_has_no_fallback_where_that_fails(probe: Probe) -> None:
    assert Call("probe", {}).fallback(Task({}), FAILURE) is None


def test_it_has_no_fallback_where_there_is_none() -> None:
    assert Call("simulate", {}).fallback(Task({}), FAILURE) is None


def test_it_blots_out_secrets(probe: Probe) -> None:
    call = Call("probe", {"token": "hunter2"})
    call.prepare()
    assert call.redactor.redact("login hunter2 failed after 1 try") == "login ••• failed after 1 try"


def test_it_blots_out_everything_where_nobody_knows_what_is_secret() -> None:
    assert Call("gone", {"list": ["hunter2"], "on": True}).redactor.redact("hunter2 True") == "••• True"


def test_it_shows_no_parameters(probe: Probe) -> None:
    assert repr(Call("probe", {"token": "hunter2"})) == "<Call probe>"


def test_it_survives_pickling() -> None:
    call = pickle.loads(pickle.dumps(Call("simulate", {"seconds": "0"}, ("math",), limit=99)))
    assert (call.processor_name, call.parameters, call.modules, call.limit) == (
        "simulate",
        {"seconds": "0"},
        ("math",),
        99,
    )


def test_it_imports_the_modules_of_users_in_another_process() -> None:
    parcel = pickle.dumps((Call("shout", {"times": 2}, ("tests.processors.shouting",)), Task({"text": "hey"})))
    child = subprocess.run([sys.executable, "-c", CHILD], input=parcel, capture_output=True, timeout=30, check=True)
    assert json.loads(child.stdout) == {"said": "HEYHEY"}


def test_it_prepares_once_for_many_threads_at_a_time(probe: Probe) -> None:
    call = Call("probe", {})
    found = {id(attempt) for attempt in _together(lambda: call.prepare()[1])}
    assert len(found) == 1


def _run(call: Call, task: Task) -> Any:
    return run([(0, task)], call, Policy())


def _together(work: Any, threads: int = 8) -> list[Any]:
    barrier = threading.Barrier(threads)
    results: list[Any] = []

    def one() -> None:
        barrier.wait()
        results.append(work())

    started = [threading.Thread(target=one) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return results
