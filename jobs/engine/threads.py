"""A pool of threads that drain one window of tickets.

Threads and coordinator hand over through two deques, whose ends are atomic, and wake each other only when somebody
sleeps: at most one thread is on its way out of sleep at any time, and it wakes the next one if work is left. So a busy
pool hardly ever switches threads for the sake of the hand-over.

Measured on two busy cores with a million items that do nothing, 10 workers: 430,000 to 540,000 items/s in 20 MB, where
one future for each item made 35,000 to 60,000/s in 1.9 GB. With 5,000 items of 10 ms and 50 workers it reaches 0.91 to
0.98 of the possible speed, where bare threads on one shared iterator reach 0.96 to 0.98.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as executor_internals
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any, Protocol

from jobs.engine.context import Ticket

# Threads are made only when submitted to, so the executor's own limit can be out of the way.
UNLIMITED = 1_000_000
# How long a run that ends waits for its idle threads and for killed children. A busy thread is not waited for: it ends
# by itself after its item.
GRACE = 5.0


class Worker:
    """One seat of the pool: the thread in it, what it does now, and whether it shall leave."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.ticket: Ticket | None = None
        self.leaving = False
        self.gone = False
        self.thread: threading.Thread | None = None
        self.tool: Any = None


class Caller(Protocol):
    """How a worker calls the user's function: in its own thread, or in a child process."""

    def prepare(self, worker: Worker) -> None:
        """Get ready before the clock of the attempt starts."""

    def call(self, worker: Worker, ticket: Ticket) -> None:
        """Fill the ticket; never raises."""

    def reclaim(self, worker: Worker) -> bool:
        """Cut the attempt short, from another thread; False when that cannot be done."""

    def release(self, worker: Worker) -> None:
        """Let go of what `prepare` got."""


class Bell:
    """Lets one thread sleep until others ring or a time has passed."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        # Holds a token while the owner sleeps; whoever pops it is the one who wakes the owner.
        self.asleep: deque[None] = deque()

    def ring(self) -> None:
        """Wake the owner if it sleeps."""
        with suppress(IndexError):
            self.asleep.pop()
            self._gate.release()

    def sleep(self, seconds: float, news: deque[Ticket]) -> None:
        """Return at the next ring, after `seconds`, or at once when there is news."""
        self.asleep.append(None)
        if news:
            self.ring()
        if not self._gate.acquire(timeout=max(0.0, seconds)):
            try:
                self.asleep.pop()
            except IndexError:
                # Somebody took the token in this very moment and is about to release.
                self._gate.acquire()


class Pool:
    """Up to `width` workers. Everything but `_drain` and what it calls belongs to the coordinator's thread."""

    def __init__(self, caller: Caller, width: int) -> None:
        self.todo: deque[Ticket] = deque()
        self.done: deque[Ticket] = deque()
        # What a throttled service sent back: tickets that were handed over and shall not start yet.
        self.returned: deque[Ticket] = deque()
        self.not_before = 0.0
        self.bell = Bell()
        self.lost: dict[Ticket, Worker] = {}
        self.workers: list[Worker] = []
        # Surplus ones, until they have finished what they have.
        self._leavers: list[Worker] = []
        self.width = width
        self._caller = caller
        self._idle: deque[Worker] = deque()
        self._waking = False
        self.closed = False
        self._alive: set[Worker] = set()
        self._executor: ThreadPoolExecutor | None = None

    # The coordinator's side.

    def push(self, tickets: Iterable[Ticket]) -> None:
        """Hand tickets over to be started as soon as a worker is free."""
        self.todo.extend(tickets)
        self.staff()

    def staff(self) -> None:
        """See to it that what is to do is being done: start missing workers, wake a sleeping one."""
        missing = min(self.width - len(self.workers), len(self.todo) - len(self._idle))
        if missing > 0:
            self._hire(missing)
        if self.todo and self._idle and not self._waking:
            self._wake()

    def resize(self, width: int) -> None:
        """Change the number of workers; surplus ones leave after the item that they have."""
        self.width = width
        surplus = self.workers[width:]
        del self.workers[width:]
        self._leavers += surplus
        self._dismiss(surplus)
        self.staff()

    def recall(self) -> list[Ticket]:
        """Take back what was handed over and has not started."""
        _move(self.todo, self.returned)
        back: deque[Ticket] = deque()
        _move(self.returned, back)
        return list(back)

    def running(self) -> list[tuple[Worker, Ticket]]:
        """Who runs what now."""
        if self._leavers:
            self._leavers = [worker for worker in self._leavers if not worker.gone]
        pairs = [(worker, worker.ticket) for worker in chain(self.workers, self._leavers)]
        return [(worker, ticket) for worker, ticket in pairs if ticket is not None and not ticket.expired]

    def expire(self, worker: Worker, ticket: Ticket) -> None:
        """Give an attempt up: what comes of it will be dropped, and its place is free for another."""
        ticket.expired = True
        if self._caller.reclaim(worker):
            return
        worker.leaving = True
        (self.workers if worker in self.workers else self._leavers).remove(worker)
        self.lost[ticket] = worker

    def close(self) -> None:
        """Tell all threads to stop, and wait a moment for those that can."""
        self.closed = True
        self.recall()
        self._dismiss(self.workers)
        hanging = {worker.thread for worker in self.lost.values()}
        hanging |= {worker.thread for worker, _ in self.running() if not self._caller.reclaim(worker)}
        if self._executor is None:
            return
        self._executor.shutdown(wait=False)
        limit = monotonic() + GRACE
        for thread in _threads_of(self._executor) - hanging:
            thread.join(max(0.0, limit - monotonic()))

    def _hire(self, count: int) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(UNLIMITED, thread_name_prefix="batch")
        fresh = [Worker() for _ in range(count)]
        # Threads inherit from the thread that starts them that they are daemons. A pool thread may hang for ever in the
        # user's code, and a daemon alone does not keep the interpreter from exiting.
        starter = threading.Thread(target=self._start, args=(self._executor, fresh), daemon=True)
        try:
            starter.start()
            starter.join()
        except RuntimeError:
            pass
        if not self.workers:
            raise RuntimeError("The system lets no more threads start.")

    def _start(self, executor: ThreadPoolExecutor, fresh: list[Worker]) -> None:
        for worker in fresh:
            try:
                executor.submit(self._drain, worker)
            except RuntimeError:
                # No more threads can be had: the run goes on with those that there are.
                worker.leaving = True
                break
            self.workers.append(worker)
        for thread in _threads_of(executor):
            # Else concurrent.futures joins each of its threads at exit, daemons too.
            executor_internals._threads_queues.pop(thread, None)  # type: ignore[attr-defined]

    def _dismiss(self, workers: list[Worker]) -> None:
        for worker in workers:
            worker.leaving = True
            # One that is not found here is busy, and looks before it takes the next ticket.
            with suppress(ValueError):
                self._idle.remove(worker)
                worker.gate.release()

    # The threads' side.

    def _drain(self, worker: Worker) -> None:
        worker.thread = threading.current_thread()
        todo, done, idle, asleep = self.todo, self.done, self._idle, self.bell.asleep
        prepare, call = self._caller.prepare, self._caller.call
        while not worker.leaving:
            try:
                ticket = todo.popleft()
            except IndexError:
                self._park(worker)
                continue
            if todo and idle and not self._waking:
                self._wake()
            prepare(worker)
            ticket.started = monotonic()
            worker.ticket = ticket
            if self.closed:
                break
            call(worker, ticket)
            ticket.seconds = monotonic() - ticket.started
            worker.ticket = None
            if ticket.later is not None and not (ticket.alone or ticket.expired):
                self._hold_back(ticket.later)
            done.append(ticket)
            del ticket  # A parked thread shall not keep a payload alive.
            if asleep:
                self.bell.ring()
        self._leave(worker)

    def _leave(self, worker: Worker) -> None:
        worker.gone = True
        self._caller.release(worker)
        # The wake-up that ended this worker's sleep may have been meant for a ticket.
        if self.todo and self._idle:
            self._wake()

    def _park(self, worker: Worker) -> None:
        self._idle.append(worker)
        # A ticket or an order to leave may have come just before the worker could be seen here.
        if self.todo or worker.leaving:
            self._wake(worker if worker.leaving else None)
        worker.gate.acquire()
        self._waking = False

    def _wake(self, worker: Worker | None = None) -> None:
        try:
            if worker is None:
                worker = self._idle.pop()
                self._waking = True
            else:
                self._idle.remove(worker)
        except (IndexError, ValueError):
            return
        worker.gate.release()

    def _hold_back(self, seconds: float) -> None:
        # The coordinator may be busy for a while; a throttled service must not be asked again in the meantime.
        self.not_before = max(self.not_before, monotonic() + seconds)
        _move(self.todo, self.returned)


def _move(source: deque[Ticket], target: deque[Ticket]) -> None:
    with suppress(IndexError):
        while True:
            target.append(source.popleft())


def _threads_of(executor: ThreadPoolExecutor) -> set[threading.Thread]:
    return set(getattr(executor, "_threads", ()))
