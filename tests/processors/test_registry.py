from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jobs import processors
from jobs.engine import Failure, Policy
from jobs.processors import Context, Input, Processor, UnknownProcessor, processor, register

FAILURE = Failure("ValueError", "no", "")


class Echo(Processor):
    name = "echo"

    def process(self, inputs: Mapping[str, Any], context: Context) -> Any:
        return dict(inputs)


class OtherEcho(Echo):
    pass


def nothing(inputs: Mapping[str, Any], context: Context) -> None:
    """Does nothing.

    At all.
    """


async def later(inputs: Mapping[str, Any], context: Context) -> None: ...


def test_it_knows_the_built_in_processors() -> None:
    assert {"rewrite-query", "fetch-url", "simulate"} <= set(processors.names())


def test_it_gives_every_built_in_processor_a_label_and_a_summary() -> None:
    built_in = [processors.get(name) for name in ("rewrite-query", "fetch-url", "simulate")]
    assert all(known.label and known.summary for known in built_in)


def test_it_finds_a_registered_class() -> None:
    register(Echo)
    assert isinstance(processors.get("echo"), Echo)


def test_it_returns_the_class_so_that_register_decorates() -> None:
    assert register(Echo) is Echo


def test_it_finds_a_registered_instance() -> None:
    echo = register(Echo())
    assert processors.get("echo") is echo


def test_it_names_what_it_knows_when_asked_for_something_else() -> None:
    with pytest.raises(UnknownProcessor, match=r"There is no processor “ecco”; known are .*simulate"):
        processors.get("ecco")


def test_it_takes_the_same_class_twice() -> None:
    register(Echo)
    register(Echo)
    assert isinstance(processors.get("echo"), Echo)


def test_it_refuses_another_class_of_the_same_name() -> None:
    register(Echo)
    with pytest.raises(ValueError, match=r"already called “echo”: .*test_registry\.Echo\."):
        register(OtherEcho)


def test_it_refuses_another_instance_of_the_same_class() -> None:
    register(Echo())
    with pytest.raises(ValueError, match="already called"):
        register(Echo())


def test_it_keeps_the_first_when_it_refuses_the_second() -> None:
    first = register(Echo())
    with pytest.raises(ValueError, match="already called"):
        register(OtherEcho)
    assert processors.get("echo") is first


@pytest.mark.parametrize("name", ["", "Echo", "two words", "-a", "a-", "a--b", "ä", "x" * 51, "a/b"])
def test_it_refuses_a_name_that_does_not_fit_an_address(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a processor"):
        processor(name, inputs=["text"])(nothing)


def test_it_leaves_a_decorated_function_as_it_is() -> None:
    assert processor("nothing", inputs=["text"])(nothing) is nothing


def test_it_takes_the_same_function_twice() -> None:
    processor("nothing", inputs=["text"])(nothing)
    processor("nothing", inputs=["text"])(nothing)
    assert processors.get("nothing").name == "nothing"


def test_it_makes_a_required_text_of_a_bare_name() -> None:
    processor("nothing", inputs=["text"])(nothing)
    assert processors.get("nothing").inputs == (Input("text", type=str, required=True),)


def test_it_takes_the_summary_from_the_docstring() -> None:
    processor("do-nothing", inputs=[])(nothing)
    known = processors.get("do-nothing")
    assert (known.label, known.summary) == ("Do nothing", "Does nothing.")


def test_it_keeps_kind_and_policy() -> None:
    processor("nothing", inputs=[], kind="cpu", policy=Policy(workers=3))(nothing)
    known = processors.get("nothing")
    assert (known.kind, known.policy) == ("cpu", Policy(workers=3))


def test_it_refuses_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="must be io or cpu"):
        processor("nothing", inputs=[], kind="gpu")(nothing)  # type: ignore[arg-type]


def test_it_refuses_a_name_declared_twice() -> None:
    with pytest.raises(ValueError, match="declares a name twice"):
        processor("nothing", inputs=["a", "a"])(nothing)


def test_it_refuses_an_async_function() -> None:
    with pytest.raises(TypeError, match="is async"):
        processor("later", inputs=[])(later)


def test_it_has_no_fallback_unless_given_one() -> None:
    processor("nothing", inputs=[])(nothing)
    assert not processors.get("nothing").has_fallback
    assert not Echo().has_fallback


def test_it_uses_the_fallback_of_a_function() -> None:
    processor("nothing", inputs=[], fallback=lambda inputs, failure: failure.kind)(nothing)
    assert processors.get("nothing").has_fallback
    assert processors.get("nothing").fallback_for({}, FAILURE, {}) == "ValueError"


def test_it_gives_the_parameters_to_a_fallback_that_asks() -> None:
    processor("nothing", inputs=[], fallback=lambda inputs, failure, parameters: parameters["a"])(nothing)
    assert processors.get("nothing").fallback_for({}, FAILURE, {"a": 1}) == 1


def test_it_loads_the_modules_of_a_user() -> None:
    processors.load(["tests.processors.shouting"])
    processors.load(["tests.processors.shouting"])


def test_it_raises_when_a_module_is_not_there() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        processors.load(["no_such_module"])
