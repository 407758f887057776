"""Processors by name: the built-in ones and those that a user's modules bring."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, cast

from jobs.engine import Failure, Policy
from jobs.processors.base import Context, Input, Parameter, Processor, call_fallback
from jobs.processors.values import shown

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

Process = Callable[[Mapping[str, Any], Context], Any]
Fallback = Callable[..., Any]
Function = TypeVar("Function", bound=Process)
Registrable = TypeVar("Registrable", bound=Processor | type[Processor])

_processors: dict[str, Processor] = {}


class UnknownProcessor(LookupError):
    """No processor has this name."""

    failure_kind = "unknown processor"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no processor {shown(name)}; known are {', '.join(names()) or 'none'}.")


class FunctionProcessor(Processor):
    """A plain function as a processor."""

    def __init__(self, function: Process, fallback: Fallback | None = None) -> None:
        self.function = function
        self._fallback = fallback

    def process(self, inputs: Mapping[str, Any], context: Context) -> Any:
        return self.function(inputs, context)

    def fallback(self, inputs: Mapping[str, Any], failure: Failure) -> Any:
        if self._fallback is None:
            return super().fallback(inputs, failure)
        return self._fallback(inputs, failure)

    def fallback_for(self, inputs: Mapping[str, Any], failure: Failure, parameters: Mapping[str, Any]) -> Any:
        return call_fallback(self._fallback or self.fallback, inputs, failure, parameters)

    @property
    def has_fallback(self) -> bool:
        return self._fallback is not None


def register(candidate: Registrable) -> Registrable:
    """Makes a processor known by its name and returns it, so that it can stand above a class.

    Raises ValueError for a name that is none or that another processor has; the same one twice is fine.
    """
    known = candidate() if isinstance(candidate, type) else candidate
    if not NAME.fullmatch(known.name) or len(known.name) > 50:
        raise ValueError(
            f"{shown(known.name)} is no name for a processor: use small letters, digits and single dashes."
        )
    present = _processors.get(known.name)
    if present is not None and not _same(present, candidate):
        raise ValueError(f"Another processor is already called “{known.name}”: {_origin(present)}.")
    _check(known)
    _processors.setdefault(known.name, known)
    return candidate


def processor(
    name: str,
    *,
    inputs: Iterable[Input | str],
    parameters: Iterable[Parameter] = (),
    label: str = "",
    summary: str = "",
    kind: Literal["io", "cpu"] = "io",
    policy: Policy | None = None,
    fallback: Fallback | None = None,
) -> Callable[[Function], Function]:
    """Registers the function below it, `function(inputs, context)`, and leaves the function as it is.

    An input given as a bare name is a required text; the summary is else the docstring's first line.
    """

    def add(function: Function) -> Function:
        made = FunctionProcessor(function, fallback)
        made.name = name
        made.label = label or name.replace("-", " ").capitalize()
        made.summary = summary or (inspect.getdoc(function) or "").partition("\n")[0]
        made.kind = kind
        made.inputs = tuple(Input(one) if isinstance(one, str) else one for one in inputs)
        made.parameters = tuple(parameters)
        made.policy = policy or Policy()
        register(cast(Processor, made))
        return function

    return add


def get(name: str) -> Processor:
    """The processor of this name; raises UnknownProcessor."""
    try:
        return _processors[name]
    except KeyError:
        raise UnknownProcessor(name) from None


def names() -> tuple[str, ...]:
    """All names, in the order of the alphabet."""
    return tuple(sorted(_processors))


def all_processors() -> tuple[Processor, ...]:
    """All processors, by name."""
    return tuple(_processors[name] for name in names())


def load(modules: Iterable[str]) -> None:
    """Imports the modules that register a user's own processors; an import error of theirs is raised as it is."""
    for module in modules:
        importlib.import_module(module)


def _same(present: Processor, candidate: Processor | type[Processor]) -> bool:
    if isinstance(candidate, type):
        return type(present) is candidate
    if isinstance(present, FunctionProcessor) and isinstance(candidate, FunctionProcessor):
        return present.function is candidate.function
    return present is candidate


def _origin(known: Processor) -> str:
    source: Any = known.function if isinstance(known, FunctionProcessor) else type(known)
    return f"{source.__module__}.{source.__qualname__}"


def _check(known: Processor) -> None:
    for fields in ([one.name for one in known.inputs], [one.name for one in known.parameters]):
        if len(set(fields)) < len(fields):
            raise ValueError(f"The processor “{known.name}” declares a name twice.")
    if inspect.iscoroutinefunction(known.function if isinstance(known, FunctionProcessor) else known.process):
        raise TypeError(f"“{known.name}” is async; a processor is a plain function.")
    if known.kind not in ("io", "cpu"):
        raise ValueError(f"The kind of “{known.name}” must be io or cpu, not {shown(known.kind)}.")
