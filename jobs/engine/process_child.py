"""What runs in a child process: `python -m jobs.engine.process_child REQUESTS ANSWERS`, two numbers of open pipes.

The first message says how to become like the parent and what to call; then each message is one attempt. Answers are
("ready",), ("value", pickled value, log) or ("failure", failure, log).
"""

from __future__ import annotations

import contextvars
import os
import pickle
import runpy
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import ModuleType
from typing import Any, BinaryIO

from jobs.engine import context, redaction, thread_caller, wire
from jobs.engine.context import Ticket
from jobs.engine.failures import describe
from jobs.engine.threads import Worker

# How long a child whose parent is gone may take to notice by itself.
GRACE = 0.5
# What computes leaves the processor to those who answer, its parent among them.
NICE = 5


def main(requests: int, answers: int) -> None:
    """Serve attempts until the parent closes the pipe."""
    os.nice(NICE)
    # Programs that the user's code starts must not keep the pipes open after this process.
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    threading.Thread(target=_die_with_parent, args=(requests,), daemon=True).start()
    redaction.guard_output()
    with open(requests, "rb") as inlet, open(answers, "wb") as outlet:
        try:
            caller = thread_caller.Here(_become(wire.receive(inlet)), contextvars.copy_context())
        except EOFError:
            return
        wire.send(outlet, ("ready",))
        while True:
            try:
                request = wire.receive(inlet)
            except EOFError:
                return
            _answer(outlet, caller, request)


def _answer(outlet: BinaryIO, caller: thread_caller.Here, request: tuple[int, int, bytes]) -> None:
    position, number, payload = request
    ticket = Ticket(position, payload, number - 1)
    value = caller.call(Worker(), ticket)
    if ticket.failure is None:
        try:
            wire.send(outlet, ("value", pickle.dumps(value, pickle.HIGHEST_PROTOCOL), ticket.log))
            return
        except BaseException as error:
            # A result that cannot be pickled is the item's failure.
            ticket.failure = describe(error, caller.redactor)
    wire.send(outlet, ("failure", ticket.failure, ticket.log))


def _become(setup: dict[str, Any]) -> Any:
    sys.path[:] = setup["path"]
    if setup["pythonpath"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = setup["pythonpath"]
    context.adopt(setup["levels"])
    if setup["main"] is not None:
        _load_main(*setup["main"])
    process = thread_caller.Unpickling(setup["process"])
    # Here, and not in the time of the first item. What fails to load is told to each item, by trying again.
    with suppress(Exception):
        process.load()
    return process


def _load_main(how: str, where: str) -> None:
    """Run the parent's script under another name, as multiprocessing does, so that `if __name__ == …` stays quiet."""
    module = ModuleType("__mp_main__")
    load = runpy.run_module if how == "name" else runpy.run_path
    module.__dict__.update(load(where, run_name="__mp_main__"))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def _die_with_parent(requests: int) -> None:
    watch = select.poll()
    watch.register(requests, 0)
    # Without wishes poll returns only when the other end is closed.
    watch.poll()
    time.sleep(GRACE)
    # The child leads its own group, so that what it started goes with it.
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
