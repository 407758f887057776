"""The contract between a job and what is done to one of its items."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

from jobs.engine import Failure, Policy
from jobs.engine.context import AttemptContext
from jobs.processors.values import ENCRYPTED, NAMES, Kind, blank, convert, is_encrypted, shown

FIELD = re.compile(r"[a-z][a-z0-9_]{0,49}")
# Characters that may be given: a private key of 4,096 bits has 3,300 as PEM, a long prompt some 20,000. Each run keeps
# a copy of all of them, each worker has them in memory, and whatever it logs is searched for the secrets.
LONGEST_SECRET = 4_000
LONGEST_TEXT = 100_000
LONGEST_TOGETHER = 200_000
Logger: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]


class ParameterError(ValueError):
    """A parameter that cannot be used. `name` says which one, `sentence` why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(name, sentence)
        self.name = name
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class Amended(dict[str, Any]):
    """Parameters of which those that are as they were `before` were given earlier: they stay, however long they are."""

    def __init__(self, values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.before = before


class InvalidInput(ValueError):
    """The inputs of one item do not fit the processor."""

    failure_kind = "invalid input"


class Failed(Exception):
    """A failure that names its kind: `raise Failed("no answer", "The service answered with nothing.")`."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(kind, sentence)
        self.failure_kind = kind
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Input:
    """One value that a processor takes from each item; a column is mapped to it."""

    name: str
    _: KW_ONLY
    type: Kind = str
    required: bool = True
    label: str = ""
    help: str = ""

    def __post_init__(self) -> None:
        _check_field(self.name, self.type)

    @property
    def title(self) -> str:
        """What a form calls it."""
        return self.label or self.name.replace("_", " ").capitalize()

    def trouble(self, value: Any) -> str:
        """Why `value` cannot be used, in one sentence; empty when it can."""
        if type(value) is str is self.type and value and not value.isspace():
            return ""
        if blank(value):
            return f"“{self.name}” is empty." if self.required else ""
        try:
            convert(value, self.type)
        except ValueError:
            return f"“{self.name}” must be {NAMES[self.type]}, not {shown(value)}."
        return ""

    def read(self, value: Any) -> Any:
        """`value` in the declared type, None for a blank one; ValueError where `trouble` says something."""
        return None if blank(value) else convert(value, self.type)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a run, the same for all its items.

    One that is `secret` is stored encrypted and shown nowhere. When another one changes it has to be typed again, for
    it may be sent elsewhere then; but for those that say to be `harmless`.
    """

    name: str
    _: KW_ONLY
    type: Kind = str
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    label: str = ""
    help: str = ""
    secret: bool = False
    harmless: bool = False

    def __post_init__(self) -> None:
        _check_field(self.name, self.type)
        object.__setattr__(self, "choices", tuple(self.choices))
        if self.default is not None:
            object.__setattr__(self, "default", self.clean(self.default))

    @property
    def title(self) -> str:
        """What a form calls it."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def longest(self) -> int:
        """How many characters a text of it may have that somebody gives."""
        return LONGEST_SECRET if self.secret else LONGEST_TEXT

    def clean(self, value: Any) -> Any:
        """`value` typed and checked, the default for a blank one; raises ParameterError.

        A secret that is stored already stays as it is, encrypted: pages do not read it.
        """
        if blank(value):
            return self.default
        if self.secret and is_encrypted(value):
            return value
        try:
            typed = convert(value, self.type)
        except ValueError:
            raise self._error(f"must be {NAMES[self.type]}", value) from None
        if self.choices and typed not in self.choices:
            raise self._error(f"must be one of {', '.join(map(str, self.choices))}", value)
        self._check_range(typed)
        return typed

    def _check_range(self, typed: Any) -> None:
        if self.minimum is not None and typed < self.minimum:
            raise self._error(f"must be at least {self.minimum:g}", typed)
        if self.maximum is not None and typed > self.maximum:
            raise self._error(f"must be at most {self.maximum:g}", typed)

    def _error(self, rule: str, value: Any) -> ParameterError:
        # What a secret holds is repeated nowhere, not even to the one who typed it.
        ending = "" if self.secret else f", not {shown(value)}"
        return ParameterError(self.name, f"“{self.name}” {rule}{ending}.")


class Context:
    """What a processor may know about the attempt that it makes.

    `number` counts the attempts of this item from 1; `idempotency_key` is the same for every attempt of one
    item in one run, fit for an API that drops repeats; `client` is what `open` gave to this worker; what is logged
    through `logger` stands on the page of the item.
    """

    __slots__ = ("_logger", "client", "idempotency_key", "key", "number", "parameters", "position")

    def __init__(
        self,
        *,
        position: int,
        key: str,
        number: int,
        idempotency_key: str,
        logger: Logger | AttemptContext,
        client: Any,
        parameters: Mapping[str, Any],
    ) -> None:
        self.position = position
        self.key = key
        self.number = number
        self.idempotency_key = idempotency_key
        self._logger = logger
        self.client = client
        self.parameters = parameters

    @property
    def logger(self) -> Logger:
        """The attempt's logger. Most items never log, so an attempt makes it only when it is asked."""
        given = self._logger
        return given.logger if isinstance(given, AttemptContext) else given


class Processor:
    """What is done to one item. A subclass overrides `process`; everything else has a default."""

    name: str = ""
    label: str = ""
    summary: str = ""
    kind: Literal["io", "cpu"] = "io"
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    policy: Policy = Policy()

    def process(self, inputs: Mapping[str, Any], context: Context) -> Any:
        """The result for one item. Whatever is raised is this item's failure and nobody else's."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to process an item.")

    def fallback(self, inputs: Mapping[str, Any], failure: Failure) -> Any:
        """A value to keep beside a final failure. One that takes a third argument `parameters` is given them."""
        raise NotImplementedError(f"{type(self).__name__} has no fallback.")

    @property
    def has_fallback(self) -> bool:
        """Whether `fallback` is overridden."""
        return type(self).fallback is not Processor.fallback

    def fallback_for(self, inputs: Mapping[str, Any], failure: Failure, parameters: Mapping[str, Any]) -> Any:
        """What `fallback` says, called with as many arguments as it takes."""
        return call_fallback(self.fallback, inputs, failure, parameters)

    def open(self, parameters: Mapping[str, Any]) -> Any:
        """A client for one worker thread, made before its first item."""
        return None

    def close(self, client: Any) -> None:
        """Gives back what `open` made."""

    def kind_of(self, parameters: Mapping[str, Any]) -> Literal["io", "cpu"]:
        """Threads ("io") or processes ("cpu") for these cleaned parameters."""
        return self.kind

    def validate(self, inputs: Mapping[str, Any]) -> str:
        """Why these inputs cannot be processed, in one sentence; empty when they can."""
        for declared in self.inputs:
            if sentence := declared.trouble(inputs.get(declared.name)):
                return sentence
        return ""

    def typed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Every declared input in its type, None where one is empty; for inputs that `validate` let pass."""
        return {declared.name: declared.read(inputs.get(declared.name)) for declared in self.inputs}

    def clean(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, typed, with defaults filled in; raises ParameterError for the first that is wrong or long.

        A page that changes other parameters gives a stored secret as it is stored: a mapping instead of its text.
        """
        known = {parameter.name for parameter in self.parameters}
        for name in parameters:
            if name not in known:
                raise ParameterError(name, f"{self.name} has no parameter {shown(name)}.")
        values = {parameter.name: parameter.clean(parameters.get(parameter.name)) for parameter in self.parameters}
        _check_lengths(self.parameters, values, parameters.before if isinstance(parameters, Amended) else {})
        return values


def call_fallback(
    function: Callable[..., Any], inputs: Mapping[str, Any], failure: Failure, parameters: Mapping[str, Any]
) -> Any:
    """A fallback's value; the parameters go to one that asks for them."""
    if "parameters" in inspect.signature(function).parameters:
        return function(inputs, failure, parameters=parameters)
    return function(inputs, failure)


def _check_field(name: str, kind: Kind) -> None:
    if not FIELD.fullmatch(name):
        raise ValueError(f"{shown(name)} is no name: use small letters, digits and _, starting with a letter.")
    if kind not in NAMES:
        raise TypeError(f"“{name}” cannot be a {kind.__name__}: use str, int, float, bool or object.")


def _check_lengths(known: tuple[Parameter, ...], values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raises ParameterError for a text that is longer than may be given, or where all of them are."""
    for one in known:
        value = values[one.name]
        if isinstance(value, str) and value not in (one.default, before.get(one.name)) and len(value) > one.longest:
            what = "a secret" if one.secret else "a parameter"
            raise ParameterError(
                one.name, f"“{one.name}” has {len(value):,} characters; {what} may have {one.longest:,} at most."
            )
    sizes = _sizes(known, values)
    total = sum(sizes.values())
    if total > max(LONGEST_TOGETHER, sum(_sizes(known, before).values())):
        name = max(sizes, key=lambda name: sizes[name])
        raise ParameterError(
            name,
            f"The parameters have {total:,} characters together, “{name}” alone {sizes[name]:,}; "
            f"all of them may have {LONGEST_TOGETHER:,} at most.",
        )


def _sizes(known: tuple[Parameter, ...], values: Mapping[str, Any]) -> dict[str, int]:
    """The characters of the texts that somebody gave, secrets as they are stored; too long ones count as allowed."""
    given = [one for one in known if values.get(one.name) != one.default]
    return {one.name: min(_length(values.get(one.name)), one.longest) for one in given}


def _length(value: Any) -> int:
    text = value[ENCRYPTED] if is_encrypted(value) else value
    return len(text) if isinstance(text, str) else 0
