"""Lists and streams of items through one function: results at their places, a bar on the console."""

from __future__ import annotations

import builtins
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from contextlib import closing
from itertools import chain
from typing import Any

from jobs.engine import context
from jobs.engine.coordinator import NOT_YET
from jobs.engine.failures import describe, kind_of
from jobs.engine.progress import ConsoleBar
from jobs.engine.runner import run
from jobs.engine.types import TIMEOUT, Attempt, Failure, Policy, Pulse

Process = Callable[[Any], Any]
Fallback = Callable[[Any, BaseException], Any]

DEFAULT_WORKERS = 5
MANY_WORKERS = 50
# Items for each worker that an ordered stream may be ahead of its slowest item.
AHEAD = 32
# Errors that are told one by one; after them only their number.
TOLD = 100


def batch_process_parallel(
    items: Iterable[Any],
    process_fn: Process,
    max_workers: int | None = None,
    desc: str = "Processing",
    *,
    fallback_fn: Fallback | None = None,
    timeout: float | None = 60.0,
    executor: str = "thread",
) -> list[Any]:
    """Return `process_fn(item)` for each item, each at the position of its item.

    Where it fails, or takes longer than `timeout` seconds, the place holds `fallback_fn(item, exception)`, or None when
    there is no fallback or it fails too. `max_workers` is MAX_WORKERS from the environment, else 5, unless given.
    With `executor="process"` the function runs in child processes, which use all cores and can be killed.

    Raises TypeError or ValueError for arguments that make no sense, and whatever iterating over `items` raises.
    """
    batch = _Batch(items, process_fn, _workers(max_workers), desc, fallback_fn, timeout, executor)
    found = dict(batch.results())
    return [found[position] for position in range(len(found))]


batch_process_defensive = batch_process_parallel


def batch_process_large_dataset(
    items: Iterable[Any],
    process_fn: Process,
    batch_size: int | None = None,
    max_workers: int | None = None,
    desc: str = "Processing",
    *,
    fallback_fn: Fallback | None = None,
    timeout: float | None = 60.0,
    executor: str = "thread",
) -> Generator[Any, None, None]:
    """Yield what `batch_process_parallel` would return, in order, while it is being worked on.

    `items` may be endless: at most `batch_size` of them (32 for each worker unless given) are worked on or wait for
    their turn, so one slow item holds the others up only when they are that far ahead. No batch waits for another.
    """
    workers = _workers(max_workers)
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool)):
        raise TypeError(f"batch_size must be a whole number, not {type(batch_size).__name__}.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
    ahead = batch_size or AHEAD * workers
    return _in_order(_Batch(items, process_fn, workers, desc, fallback_fn, timeout, executor, ahead))


def _in_order(batch: _Batch) -> Generator[Any, None, None]:
    early: dict[int, Any] = {}
    with closing(batch.results()) as results:
        for position, result in results:
            early[position] = result
            while batch.head in early:
                # Moved on before the result is handed out: the next item may start while the caller is busy.
                batch.head += 1
                yield early.pop(batch.head - 1)


class _Batch:
    """One call: its items under way, its bar, and what it told about failures."""

    def __init__(
        self,
        items: Iterable[Any],
        process: Process,
        workers: int,
        desc: str,
        fallback: Fallback | None,
        timeout: float | None,
        executor: str,
        ahead: int | None = None,
    ) -> None:
        self.items = _iterator(items)
        if not callable(process):
            raise TypeError(f"process_fn must be callable, not {type(process).__name__}.")
        if fallback is not None and not callable(fallback):
            raise TypeError(f"fallback_fn must be callable, not {type(fallback).__name__}.")
        self.total = len(items) if isinstance(items, Sized) else None
        self.desc = desc
        self.fallback = fallback
        self.policy = Policy(workers=workers, timeout=timeout)
        self.ahead = ahead
        self.head = 0
        self.under_way: dict[int, Any] = {}
        self.errors: dict[int, BaseException] = {}
        self.finished = 0
        self.failed = 0
        keeps = fallback is not None and executor == "thread"
        call = self._keeping(process) if keeps else process
        self.source = self._source()
        self.attempts = run(self.source, call, self.policy, executor=executor, beat=self._beat)
        self.bar: ConsoleBar | None = None

    def results(self) -> Generator[tuple[int, Any], None, None]:
        """Yield position and result of each item as they finish."""
        try:
            with closing(self.attempts) as attempts:
                for attempt in attempts:
                    yield attempt.position, self._result(attempt)
            yield from self._left_over()
        finally:
            self._close()

    def _result(self, attempt: Attempt) -> Any:
        item = self.under_way.pop(attempt.position)
        self.finished += 1
        if attempt.failure is None:
            return attempt.value
        return self._instead(attempt.position, item, attempt.failure)

    def _source(self) -> Iterator[Any]:
        position = 0
        while True:
            while self.ahead is not None and position - self.head >= self.ahead:
                yield NOT_YET
            try:
                item = next(self.items)
            except StopIteration:
                return
            if self.bar is None:
                self.bar = ConsoleBar(total=self.total, desc=self.desc)
            self.under_way[position] = item
            yield position, item
            position += 1

    def _left_over(self) -> Iterator[tuple[int, Any]]:
        # Only when so many threads hang that the engine gave up: every item still gets its place.
        untried = Failure(TIMEOUT, "Not attempted: too many threads hang.", "")
        self.ahead = None
        for position, item in chain(list(self.under_way.items()), self.source):
            self.under_way.pop(position)
            self.finished += 1
            yield position, self._instead(position, item, untried)

    def _keeping(self, process: Process) -> Process:
        def keep(item: Any) -> Any:
            try:
                return process(item)
            except BaseException as error:
                self.errors[context.current().position] = error
                raise

        return keep

    def _instead(self, position: int, item: Any, failure: Failure) -> Any:
        error = self.errors.pop(position, None)
        if self.fallback is None:
            return self._tell(position, failure)
        try:
            return self.fallback(item, _exception(failure, error))
        except (Exception, SystemExit) as trouble:
            return self._tell(position, describe(trouble))

    def _tell(self, position: int, failure: Failure) -> None:
        self.failed += 1
        if self.bar is not None and self.failed <= TOLD:
            self.bar.say(f"Error processing item {position}: {failure.kind}: {failure.message}")

    def _beat(self, pulse: Pulse) -> None:
        if self.bar is not None:
            self.bar.update(self.finished - self.bar.n)
            self.bar.refresh()

    def _close(self) -> None:
        if self.bar is None:
            return
        self.bar.update(self.finished - self.bar.n)
        if self.failed > TOLD:
            self.bar.say(f"{self.failed} items failed; the first {TOLD} are listed.")
        self.bar.close()


def _iterator(items: Any) -> Iterator[Any]:
    if isinstance(items, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(items, Iterable):
        raise TypeError(f"items must be a list or another iterable of items, not {type(items).__name__}.")
    return iter(items)


def _workers(wanted: int | None) -> int:
    if wanted is None:
        wanted = _workers_of_environment()
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise TypeError(f"max_workers must be a whole number, not {type(wanted).__name__}.")
    if wanted < 1:
        raise ValueError(f"max_workers must be at least 1, not {wanted}.")
    if wanted > MANY_WORKERS:
        warnings.warn(f"{wanted} workers are many: over {MANY_WORKERS} rarely make a batch faster.", stacklevel=3)
    return wanted


def _workers_of_environment() -> int:
    text = os.environ.get("MAX_WORKERS", "").strip()
    if not text:
        return DEFAULT_WORKERS
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"MAX_WORKERS in the environment must be a whole number of at least 1, not {text!r}.")
    return number


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
