"""Work that only takes time, fails, hangs or crashes on demand: to try a system out, and to break it on purpose."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn

from jobs.engine import Policy
from jobs.processors.base import Context, Failed, Input, Parameter, ParameterError, Processor
from jobs.processors.environment import allowed
from jobs.processors.values import shown

HANG = 3600.0
SLOWEST = 3600.0
SHARES = ("crash", "hang", "fail")


def _share(name: str, text: str) -> Parameter:
    return Parameter(name, type=float, default=0.0, minimum=0, maximum=1, help=text)


class Simulate(Processor):
    """Sleeps, and meets the fate that its row asks for, or else one drawn from the shares.

    What is drawn depends on the position alone: every run over the same file meets the same fates.
    """

    name = "simulate"
    label = "Simulate work"
    summary = "Takes time, fails, hangs or crashes on demand. Touches nothing outside."
    inputs = (Input("simulate", required=False, help="ok, fail:KIND, hang, crash or slow:SECONDS for this row."),)
    parameters = (
        Parameter("seconds", type=float, default=0.01, minimum=0, maximum=SLOWEST, help="How long an item takes."),
        _share("jitter", "How much that varies: 0.2 is 20 % up or down."),
        _share("fail", "Share of items that fail."),
        _share("hang", "Share of items that never end, where that is allowed."),
        _share("crash", "Share of items that kill their process, where that is allowed."),
        Parameter("cpu", type=float, default=0.0, minimum=0, maximum=SLOWEST, help="Seconds of computing besides."),
    )
    policy = Policy(workers=10)

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        hang: Callable[[], None] | None = None,
        crash: Callable[[], None] | None = None,
    ) -> None:
        self._sleep = sleep
        self._hang = hang or _hang
        self._crash = crash or _crash

    def kind_of(self, parameters: Mapping[str, Any]) -> Literal["io", "cpu"]:
        return "cpu" if float(parameters.get("cpu") or 0) > 0 else "io"

    def clean(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = super().clean(parameters)
        if sum(cleaned[share] for share in SHARES) > 1:
            raise ParameterError("fail", "“fail”, “hang” and “crash” together are more than 1.")
        return cleaned

    def validate(self, inputs: Mapping[str, Any]) -> str:
        if sentence := super().validate(inputs):
            return sentence
        order = _order(inputs)
        if order[0] in ("", "ok", "fail", "hang", "crash") or _slow(order) is not None:
            return ""
        return f"“simulate” must be ok, fail:KIND, hang, crash or slow:SECONDS, not {shown(inputs['simulate'])}."

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        order = _order(inputs)
        seconds = _slow(order)
        if seconds is None:
            self._meet(order if order[0] else _fate(context), context)
            seconds = _duration(context)
        if seconds:  # sleep(0) takes no time either, but gives up the turn of this thread: 80 µs under load
            self._sleep(seconds)
        if cpu := context.parameters["cpu"]:
            _compute(cpu)
        return {"position": context.position, "slept": seconds}

    def _meet(self, fate: tuple[str, str], context: Context) -> None:
        word, kind = fate
        if word == "fail":
            self._sleep(_duration(context))
            raise Failed(kind or "simulated", "A simulated failure.")
        if word in ("hang", "crash") and not allowed("SIMULATE_ALLOW_FAULTS"):
            raise Failed("not allowed", f"“{word}” works only where SIMULATE_ALLOW_FAULTS=1 is set.")
        if word == "hang":
            self._hang()
        if word == "crash":
            self._crash()


def drawn(position: int, what: str) -> float:
    """A number in [0, 1) for one item, evenly spread over positions and the same every time."""
    digest = hashlib.blake2b(f"{what}:{position}".encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 256**7


def scattered(position: int) -> float:
    """A number in [0, 1) of which each thousand positions take each thousandth once: shares come out exactly.

    619 has no factor in common with 1,000, and is near its golden section, so that neighbours lie far apart.
    """
    return (position * 619 + 271) % 1000 / 1000


def _fate(context: Context) -> tuple[str, str]:
    number = scattered(context.position)
    for share in SHARES:
        number -= context.parameters[share]
        if number < 0:
            return share, ""
    return "ok", ""


def _duration(context: Context) -> float:
    seconds: float = context.parameters["seconds"]
    jitter: float = context.parameters["jitter"]
    if jitter:
        seconds *= 1 + jitter * (2 * drawn(context.position, "jitter") - 1)
    return round(seconds, 6)


def _order(inputs: Mapping[str, Any]) -> tuple[str, str]:
    """The row's own word and what follows its colon."""
    word, _, rest = str(inputs.get("simulate") or "").strip().partition(":")
    return word.strip().lower(), rest.strip()


def _slow(order: tuple[str, str]) -> float | None:
    """The seconds of `slow:SECONDS`; None for any other order."""
    try:
        seconds = float(order[1]) if order[0] == "slow" else math.nan
    except ValueError:
        return None
    return seconds if 0 <= seconds <= SLOWEST else None


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(b"work").digest()


def _hang() -> None:
    threading.Event().wait(HANG)


def _crash() -> NoReturn:
    logging.shutdown()
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    os._exit(137)
