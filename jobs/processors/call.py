"""What the engine calls for each item: finds the processor, opens its clients, stores its value as text."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from jobs.engine import Failure
from jobs.engine.context import current
from jobs.engine.redaction import Redactor, redactor
from jobs.files.flattening import Key
from jobs.processors import registry
from jobs.processors.base import Amended, Context, InvalidInput, Processor
from jobs.processors.storable import LIMIT, encode

logger = logging.getLogger(__name__)

Stored = tuple[str, tuple[Key, ...]]


@dataclass(slots=True)
class Task:
    """The payload of one item: its mapped inputs and the keys that go with it.

    Not frozen: that would treble the time it takes to make one, and there are millions.
    """

    inputs: dict[str, Any]
    key: str = ""
    idempotency_key: str = ""


class Call:
    """One processor with its parameters, as a picklable callable.

    Nothing is looked up before the first item or `prepare`, so that it also works in a process that has yet to
    import the user's `modules`. Each thread opens one client; `close` closes them all.
    """

    def __init__(
        self,
        processor_name: str,
        parameters: Mapping[str, Any],
        modules: tuple[str, ...] = (),
        *,
        limit: int = LIMIT,
    ) -> None:
        self.processor_name = processor_name
        self.parameters = dict(parameters)
        self.modules = tuple(modules)
        self.limit = limit
        self._ready: tuple[Processor, Mapping[str, Any]] | None = None
        self._redactor: Redactor | None = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[Any] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _call, (self.processor_name, self.parameters, self.modules, self.limit)

    def __repr__(self) -> str:
        # Without the parameters: one of them may be a secret, and this text reaches logs.
        return f"<Call {self.processor_name}>"

    def __call__(self, task: Task) -> Stored:
        """The value as JSON text, and its keys where it is an object.

        Raises InvalidInput, NotStorable, and whatever the processor raises.
        """
        processor, parameters = self._ready or self.prepare()
        if sentence := processor.validate(task.inputs):
            raise InvalidInput(sentence)
        attempt = current()
        context = Context(
            position=attempt.position,
            key=task.key,
            number=attempt.number,
            idempotency_key=task.idempotency_key,
            logger=attempt,
            client=self._client(processor, parameters),
            parameters=parameters,
        )
        return encode(processor.process(processor.typed(task.inputs), context), self.limit)

    def prepare(self) -> tuple[Processor, Mapping[str, Any]]:
        """The processor and its cleaned parameters; raises UnknownProcessor, ParameterError, or an import error."""
        if self._ready is None:
            with self._lock:
                registry.load(self.modules)
                processor = registry.get(self.processor_name)
                cleaned = processor.clean(Amended(self.parameters, self.parameters))  # stored ones stay
                names = [one.name for one in processor.parameters if one.secret]
                # As typed and as understood.
                both = [[values.get(name) for name in names] for values in (self.parameters, cleaned)]
                self._redactor = redactor(texts(both))
                self._ready = processor, MappingProxyType(cleaned)
        return self._ready

    def fallback(self, task: Task, failure: Failure) -> Stored | None:
        """The value to keep beside a final failure, as text; None where there is none to be had."""
        processor, parameters = self.prepare()
        if not processor.has_fallback:
            return None
        try:
            return encode(processor.fallback_for(task.inputs, failure, parameters), self.limit)
        except Exception:
            logger.warning("The fallback of %s failed.", self.processor_name, exc_info=True)
            return None

    @property
    def redactor(self) -> Redactor:
        """What the engine lets each text of an attempt go through, so that no secret parameter stands in it.

        Where the processor cannot be had nobody knows which of the parameters are secret: all of them are.
        """
        return self._redactor or redactor(texts(self.parameters))

    def close(self) -> None:
        """Closes every client that was opened; never raises. Calls that come later open new ones."""
        with self._lock:
            clients, self._opened = self._opened, []
            self._local = threading.local()
        for client in clients:
            self._close(client)

    def _client(self, processor: Processor, parameters: Mapping[str, Any]) -> Any:
        local = self._local
        try:
            return local.client
        except AttributeError:
            client = processor.open(parameters)
        with self._lock:
            self._opened.append(client)
        local.client = client
        return client

    def _close(self, client: Any) -> None:
        try:
            self.prepare()[0].close(client)
        except Exception:
            logger.warning("A client of %s could not be closed.", self.processor_name, exc_info=True)


def texts(value: Any) -> Iterator[str]:
    """All that a value holds, as the texts that it is written as."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        yield from chain.from_iterable(map(texts, value))
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _call(processor_name: str, parameters: Mapping[str, Any], modules: tuple[str, ...], limit: int) -> Call:
    call = Call(processor_name, parameters, modules, limit=limit)
    # In another process: imports what the first item would wait for. A failure of that is the items' own.
    with suppress(Exception):
        call.prepare()
    return call
