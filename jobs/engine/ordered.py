"""What comes of the items of one call: gathered in their order, failures told or replaced, progress drawn."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Final

from jobs.engine import context
from jobs.engine.coordinator import NOT_YET
from jobs.engine.failures import describe, kind_of
from jobs.engine.runner import run
from jobs.engine.types import TIMEOUT, Attempt, Failure, Policy, Pulse

if TYPE_CHECKING:
    from jobs.engine.progress import ConsoleBar

Process = Callable[[Any], Any]
Fallback = Callable[[Any, BaseException], Any]

# Errors that are told one by one; after them only their number.
TOLD = 100
# Stands at the place of an item that is not finished.
MISSING: Final = object()
# How many places are made at a time where nobody knows how many items there are.
PLACES = 1000


class Gathering:
    """One call: its items under way, its bar, and what it told about failures."""

    def __init__(
        self,
        items: Iterable[Any],
        process: Process,
        policy: Policy,
        desc: str,
        fallback: Fallback | None = None,
        executor: str = "thread",
        ahead: int | None = None,
    ) -> None:
        self.items = iterate(items)
        self.total = _length(items)
        _check(process, fallback, desc)
        self.desc = desc
        self.fallback = fallback
        # Positions below this one may start.
        self.limit = ahead
        self.under_way: dict[int, Any] = {}
        self.errors: dict[int, BaseException] = {}
        self.finished = self.told = self.replaced = self.untried = 0
        self.bar: ConsoleBar | None = None
        self.source = self._source()
        # Only a fallback asks for the item again. Without one a list is counted through without a record of each item.
        self.fixed = fallback is None and ahead is None and type(items) in (list, tuple, range)
        if self.fixed:
            self.source = enumerate(items if isinstance(items, range) else tuple(items))
        call = self._keeping(process) if fallback is not None and executor == "thread" else process
        self.attempts = run(self.source, call, policy, executor=executor, beat=self._beat)

    def collect(self) -> list[Any]:
        """The results, each at the position of its item."""
        found: list[Any] = []
        if self.fixed and self.total:
            found = [MISSING] * self.total
            self._draw()
        under_way = self.under_way
        with self._running(lambda: enumerate(found)) as attempts:
            for attempt in attempts:
                if attempt.retry_at is not None:
                    continue
                position = attempt.position
                value = attempt.value if attempt.failure is None else self._instead(position, attempt.failure)
                try:
                    found[position] = value
                except IndexError:
                    found.extend(repeat(MISSING, position - len(found) + PLACES))
                    found[position] = value
                self.finished += 1
                if under_way:
                    del under_way[position]
            for position, value in self._left_over(found):
                found[position : position + 1] = [value]
        del found[self.finished :]
        return found

    def stream(self) -> Generator[Any, None, None]:
        """The results in the order of the items, each as soon as those before it are there."""
        early: dict[int, Any] = {}
        head, ahead, under_way = 0, self.limit or 0, self.under_way
        with self._running(early.items) as attempts:
            for attempt in attempts:
                if attempt.retry_at is not None:
                    continue
                position = attempt.position
                early[position] = attempt.value if attempt.failure is None else self._instead(position, attempt.failure)
                self.finished += 1
                del under_way[position]
                while head in early:
                    # Moved on before the result is handed out: the next item may start while the caller is busy.
                    head += 1
                    self.limit = head + ahead
                    yield early.pop(head - 1)
            for position, value in self._left_over():
                early[position] = value
                while head in early:
                    head += 1
                    yield early.pop(head - 1)

    @contextmanager
    def _running(self, done: Callable[[], Iterable[tuple[int, Any]]]) -> Iterator[Iterator[Attempt]]:
        try:
            with closing(self.attempts) as attempts:
                yield attempts
        except KeyboardInterrupt as interrupt:
            finished = {position: value for position, value in done() if value is not MISSING}
            interrupt.done = finished  # type: ignore[attr-defined]
            raise
        finally:
            self._close()

    def _source(self) -> Iterator[Any]:
        position = 0
        while True:
            while self.limit is not None and position >= self.limit:
                yield NOT_YET
            room = None if self.limit is None else self.limit - position
            begun = position
            for item in islice(self.items, room):
                self.under_way[position] = item
                if self.bar is None:
                    self._draw()
                yield position, item
                position += 1
            if room is None or position - begun < room:
                return

    def _left_over(self, found: Iterable[Any] = ()) -> Iterator[tuple[int, Any]]:
        # Only when so many threads hang that the engine gave up: every item still gets its place.
        untried: Iterable[tuple[int, Any]]
        if self.fixed:
            complete = self.finished == self.total
            untried = () if complete else [(place, None) for place, value in enumerate(found) if value is MISSING]
        else:
            self.limit = None
            untried = chain(list(self.under_way.items()), self.source)
        for position, item in untried:
            self.finished += 1
            self.untried += 1
            yield position, self._fall_back(position, item, TimeoutError("Not attempted: too many threads hang."))

    def _keeping(self, process: Process) -> Process:
        def keep(item: Any) -> Any:
            try:
                return process(item)
            except BaseException as error:
                # What a hung thread raises after its deadline is of no use to anybody.
                if (position := context.current().position) in self.under_way:
                    self.errors[position] = error
                raise

        return keep

    def _instead(self, position: int, failure: Failure) -> Any:
        error = self.errors.pop(position, None)
        if self.fallback is None:
            self._tell(f"Error processing item {position}: {failure.kind}: {failure.message}")
            return None
        return self._fall_back(position, self.under_way[position], _exception(failure, error))

    def _fall_back(self, position: int, item: Any, error: BaseException) -> Any:
        if self.fallback is None:
            return None
        try:
            value = self.fallback(item, error)
        except KeyboardInterrupt:
            raise
        except BaseException as trouble:
            first, then = describe(error), describe(trouble)
            self._tell(
                f"Error processing item {position}: {first.kind}: {first.message}; "
                f"and its fallback failed: {then.kind}: {then.message}"
            )
            return None
        self.replaced += 1
        return value

    def _tell(self, text: str) -> None:
        self.told += 1
        if self.bar is not None and self.told <= TOLD:
            self.bar.say(text)

    def _draw(self) -> None:
        # Not above: tqdm is a quarter of what a child process would load, and children draw nothing.
        from jobs.engine.progress import ConsoleBar

        self.bar = ConsoleBar(self.total, self.desc)

    def _beat(self, pulse: Pulse) -> None:
        if self.bar is not None:
            self.bar.show(self.finished)

    def _close(self) -> None:
        if self.bar is None:
            return
        self.bar.show(self.finished)
        if self.told > TOLD:
            self.bar.say(f"{self.told:,} items failed; the first {TOLD} are listed.")
        if self.replaced:
            self.bar.say(f"{self.replaced:,} of {self.finished:,} items failed, and their fallbacks stand in.")
        if self.untried:
            self.bar.say(f"{self.untried:,} items were not attempted, because too many threads hang.")
        self.bar.close()


def iterate(items: Any, name: str = "items") -> Iterator[Any]:
    """The items one by one; TypeError for what is one thing rather than many, and calls it by its `name`."""
    if not isinstance(items, (str, bytes, bytearray, memoryview, Mapping)):
        # Not asked by its class: what has items by number can be iterated over as well.
        with suppress(TypeError):
            return iter(items)
    raise TypeError(f"{name} must be a list or another iterable of {name}, not {type(items).__name__}.")


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except Exception:
        return None


def _check(process: Any, fallback: Any, desc: Any) -> None:
    for name, function in (("process_fn", process), ("fallback_fn", fallback or repr)):
        if not callable(function):
            raise TypeError(f"{name} must be callable, not {type(function).__name__}.")
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{name} is async; a batch calls plain functions.")
    if not isinstance(desc, str):
        raise TypeError(f"desc must be a text, not {type(desc).__name__}.")


# Built-in exceptions that cannot be made from a message alone.
_DEMANDING = (UnicodeError, BaseExceptionGroup)


def _exception(failure: Failure, error: BaseException | None) -> BaseException:
    """What a fallback is given: the exception itself, or one like it where only its text came back."""
    if error is not None and kind_of(error) == failure.kind:
        return error
    if failure.kind == TIMEOUT:
        return TimeoutError(failure.message)
    known = getattr(builtins, failure.kind, None)
    if isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, _DEMANDING):
        return known(failure.message)
    return RuntimeError(f"{failure.kind}: {failure.message}")
