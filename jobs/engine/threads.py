"""A pool of threads that drain one window of tickets.

Threads and coordinator hand over through two deques, whose ends are atomic, and wake each other only when somebody
sleeps: at most one thread is on its way out of sleep at any time, and it wakes the next one if work is left; the
coordinator is woken when a lump of tickets is done, or when a thread has nothing left to do. So a busy pool hardly
ever switches threads for the sake of the hand-over.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from jobs.engine.bell import Bell
from jobs.engine.context import Ticket, said
from jobs.engine.executor import Executor
from jobs.engine.failures import too_long

# How long a run that ends waits for its idle threads and for killed children. A busy thread is not waited for: it ends
# by itself after its item.
GRACE = 5.0


class Worker:
    """One seat of the pool: the thread in it, what it does now, and whether it shall leave."""

    thread: threading.Thread

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.ticket: Ticket | None = None
        self.leaving = False
        self.tool: Any = None


class Caller(Protocol):
    """How a worker calls the user's function: in its own thread, or in a child process."""

    def prepare(self, worker: Worker) -> None:
        """Get ready before the clock of the attempt starts."""

    def call(self, worker: Worker, ticket: Ticket) -> Any:
        """What the function returns; a failure is noted on the ticket. Never raises."""

    def reclaim(self, worker: Worker) -> bool:
        """Cut the attempt short, from another thread; False when that cannot be done."""

    def release(self, worker: Worker) -> None:
        """Let go of what `prepare` got."""


class Pool:
    """Up to `width` workers. Everything but `_work` and what it calls belongs to the coordinator's thread."""

    def __init__(self, caller: Caller, width: int) -> None:
        self.todo: deque[Ticket] = deque()
        self.done: deque[Ticket] = deque()
        # What a throttled service sent back: tickets that were handed over and shall not start yet.
        self.returned: deque[Ticket] = deque()
        self.not_before = 0.0
        # How many seconds an attempt may take.
        self.limit = math.inf
        # Attempts that were given up and whose threads have not come back; those of them that hang.
        self.expired: set[Ticket] = set()
        self.lost: dict[Ticket, Worker] = {}
        self.workers: list[Worker] = []
        self.width = width
        self._caller = caller
        self._bell = Bell()
        self._quorum = 1
        self._idle: deque[Worker] = deque()
        self._waking = False
        self._closed = False
        # What a thread died of, which none should.
        self.broken: BaseException | None = None
        self._executor = Executor("batch", self._break)
        # All whose threads run, lost and leaving ones too.
        self._crew: dict[Worker, None] = {}

    # The coordinator's side.

    def push(self, tickets: Iterable[Ticket]) -> None:
        """Hand tickets over to be started as soon as a worker is free."""
        self.todo.extend(tickets)
        self.staff()

    def staff(self) -> None:
        """See to it that what is to do is being done: start missing workers, wake a sleeping one.

        Raises RuntimeError where the system lets none start.
        """
        missing = min(self.width - len(self.workers), len(self.todo) - len(self._idle))
        if missing > 0:
            fresh = [Worker() for _ in range(missing)]
            self.workers += fresh
            for worker in fresh:
                self._executor.submit(self._serve, worker)
        if not self._executor.start() and not self._executor.threads:
            raise RuntimeError("The system lets no thread start.")
        if self.todo and self._idle and not self._waking:
            self._wake()

    def resize(self, width: int) -> None:
        """Change the number of workers; surplus ones leave after the item that they have."""
        self.width = width
        self.workers.sort(key=lambda worker: worker.ticket is None)
        surplus = self.workers[width:]
        del self.workers[width:]
        self._dismiss(surplus)
        self.staff()

    def listen(self, seconds: float, quorum: int) -> None:
        """Sleep until so many tickets are done, or a worker has nothing left to do, or `seconds` have passed."""
        self._quorum = quorum
        self._bell.lie_down()
        if len(self.done) >= quorum or (self.done and not self.todo):
            self._bell.ring()
        self._bell.sleep(seconds)

    def recall(self) -> list[Ticket]:
        """Take back what was handed over and has not started."""
        _move(self.todo, self.returned)
        back: deque[Ticket] = deque()
        _move(self.returned, back)
        return list(back)

    def running(self) -> list[tuple[Worker, Ticket]]:
        """Who runs what now."""
        pairs = [(worker, worker.ticket) for worker in list(self._crew)]
        return [(worker, ticket) for worker, ticket in pairs if ticket is not None and ticket not in self.expired]

    def expire(self, worker: Worker, ticket: Ticket) -> Ticket | None:
        """Give an attempt up: what comes of it will be dropped, and its place is free for another.

        Returns a stand-in with its payload, or None where the attempt ended in this moment.
        """
        stand_in = Ticket(ticket.position, ticket.value, ticket.number - 1)
        if worker.ticket is not ticket:
            # Its value may be the result already.
            return None
        stand_in.log = said(ticket)
        self.expired.add(ticket)
        if not self._caller.reclaim(worker):
            worker.leaving = True
            with suppress(ValueError):
                self.workers.remove(worker)
            self.lost[ticket] = worker
        return stand_in

    def forget(self, ticket: Ticket) -> None:
        """Take note that the thread of an attempt that was given up has come back."""
        self.expired.discard(ticket)
        self.lost.pop(ticket, None)

    def close(self) -> None:
        """Tell all threads to stop, and wait a moment for those that can."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.recall()
        for worker in self.workers:
            worker.leaving = True
        # Each one that leaves wakes the next; all at once would be in each other's way.
        self._wake()
        hanging = {worker.thread for worker in self.lost.values()}
        hanging.update(worker.thread for worker, _ in self.running() if not self._caller.reclaim(worker))
        limit = monotonic() + GRACE
        # Each was started by one before it, so none is still to be started when its turn comes.
        for thread in self._executor.threads:
            # A generator that nobody closed is closed by the interpreter's end, where newer Pythons join nothing.
            with suppress(RuntimeError):
                if thread not in hanging:
                    thread.join(max(0.0, limit - monotonic()))

    def _dismiss(self, workers: list[Worker]) -> None:
        for worker in workers:
            worker.leaving = True
            # One that is not found here is busy, and looks before it takes the next ticket.
            with suppress(ValueError):
                self._idle.remove(worker)
                worker.gate.release()

    # The threads' side.

    def _serve(self, worker: Worker) -> None:
        worker.thread = threading.current_thread()
        self._crew[worker] = None
        self._work(worker)
        # The wake-up that ended this worker's sleep may have been meant for a ticket, or for all.
        if self._idle and (self.todo or self._closed):
            self._wake()
        self._caller.release(worker)
        del self._crew[worker]

    def _break(self, error: BaseException) -> None:
        self.broken = error
        self._bell.ring()

    def _work(self, worker: Worker) -> None:
        todo, done, idle, asleep = self.todo, self.done, self._idle, self._bell.asleep
        prepare, call = self._caller.prepare, self._caller.call
        while not worker.leaving:
            try:
                ticket = todo.popleft()
            except IndexError:
                self._park(worker)
                continue
            if idle and todo and not self._waking:
                self._wake()
            prepare(worker)
            ticket.started = monotonic()
            worker.ticket = ticket
            if self._closed:
                break
            value = call(worker, ticket)
            ticket.seconds = seconds = monotonic() - ticket.started
            # As long as a worker has a ticket, and for ever where it fails, the value of that is its payload.
            worker.ticket = None
            if ticket.failure is not None:
                self._heed(ticket)
            elif seconds <= self.limit:
                ticket.value = value
            else:
                ticket.failure = too_long(self.limit)
            done.append(ticket)
            del ticket, value  # A parked thread shall not keep them alive.
            if asleep and len(done) >= self._quorum:
                self._bell.ring()

    def _park(self, worker: Worker) -> None:
        self._idle.append(worker)
        if self._bell.asleep and self.done:
            self._bell.ring()
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

    def _heed(self, ticket: Ticket) -> None:
        # The coordinator may be busy for a while; a throttled service must not be asked again in the meantime.
        refusal = ticket.refusal
        if refusal is not None and not refusal.alone and ticket not in self.expired:
            self.not_before = max(self.not_before, monotonic() + refusal.seconds)
            _move(self.todo, self.returned)


def _move(source: deque[Ticket], target: deque[Ticket]) -> None:
    with suppress(IndexError):
        while True:
            target.append(source.popleft())


class Running(Mapping[int, float]):
    """What a pool runs at the moment of asking: position → when the attempt began, in seconds since the epoch."""

    def __init__(self, pool: Pool, epoch: float) -> None:
        """`epoch`: by how much the system's clock is ahead of the monotonic one."""
        self._pool = pool
        self._epoch = epoch

    def _now(self) -> dict[int, float]:
        return {ticket.position: ticket.started + self._epoch for _, ticket in self._pool.running() if ticket.started}

    def __getitem__(self, position: int) -> float:
        return self._now()[position]

    def __iter__(self) -> Iterator[int]:
        return iter(self._now())

    def items(self) -> ItemsView[int, float]:
        """All of it at one moment: between a position and its time an attempt may have ended."""
        return self._now().items()

    def __len__(self) -> int:
        return len(self._now())
