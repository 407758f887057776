"""A processor that writes down what it really runs, and meets the fate that stands in its row.

Loaded through JOBS_PROCESSORS by the processes under test; `tests.faults.witness` reads what it writes.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jobs.engine import Policy, RetryLater
from jobs.processors import Context, Input, Parameter, Processor, register
from jobs.processors.base import Failed

HANG = 3600.0
LATER = 6.0  # seconds; so long a wait is stored and holds no worker
GREED = 3 * 1024**3  # bytes that the memory eater takes at most, so that it never takes the machine down
BITE = 64 * 1024**2


@register
class Ledger(Processor):
    """One line when an item starts and one when it ends, each written at once by a single append."""

    name = "ledger"
    label = "Ledger"
    summary = "Writes down what it runs."
    inputs = (Input("name"), Input("fate", required=False))
    parameters = (
        Parameter("seconds", type=float, default=0.25, minimum=0),
        Parameter("bulk", type=int, default=0, minimum=0, help="Characters of each result."),
        Parameter("apart", type=bool, default=False, help="In processes of their own."),
    )
    policy = Policy(workers=60)

    def kind_of(self, parameters: Mapping[str, Any]) -> Literal["io", "cpu"]:
        return "cpu" if parameters.get("apart") else "io"

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        code, row, run = context.idempotency_key.rsplit("-", 2)
        line = f"{code} {context.position} {context.number} {run} {os.getpid()}"
        write("start", line)
        meet(str(inputs["fate"] or ""), f"{code}-{row}", int(run))
        time.sleep(context.parameters["seconds"])
        write("end", line)
        bulk = "x" * context.parameters["bulk"]
        return {"position": context.position, "digest": digest(inputs["name"]), "bulk": bulk}


def digest(name: str) -> str:
    """What the result of an item says about its input, so that a result in the wrong place is found."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def write(word: str, line: str) -> None:
    # The monotonic clock is one for all processes of the machine, and stays right in one whose date is wrong.
    text = f"{word} {line} {time.monotonic():.4f}\n"
    with open(os.environ["FAULTS_LEDGER"], "ab", buffering=0) as file:
        file.write(text.encode())


def meet(fate: str, item: str, run: int) -> None:
    """Does what the row asks for: fail, later, hang, segfault, eat; with `-first` in the first run only, with `-once`
    the first time only.
    """
    word, _, when = fate.partition("-")
    if not word or (when == "first" and run > 1) or (when == "once" and not first_time(item)):
        return
    if word == "fail":
        raise Failed("arranged", "This row was to fail.")
    if word == "later":
        raise RetryLater(LATER, alone=True)
    if word == "hang":
        threading.Event().wait(HANG)
    if word == "segfault":
        ctypes.string_at(0)
    if word == "eat":
        eat()


def first_time(item: str) -> bool:
    """Whether nobody has met this fate yet, in any process."""
    try:
        Path(f"{os.environ['FAULTS_LEDGER']}.{item}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def eat() -> None:
    hoard = []
    for _ in range(GREED // BITE):
        hoard.append(b"x" * BITE)
        time.sleep(0.05)
    time.sleep(15)
    raise Failed("fed up", f"Nobody stopped {len(hoard) * BITE:,} bytes.")
