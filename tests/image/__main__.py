"""`python -m tests.image`: builds the image, runs the compose stack, and pulls plugs.

It ends with 0 when everything held, 1 when something did not, and 2 when it could not be tried: then a sentence says
why. What it made is gone in the end, but for the boxes in the cache.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

import httpx

from tests.image import trials
from tests.image.bases import DEBIAN, bring, named
from tests.image.engine import INSIDE, Engine, Missing, NoEngine, engine, in_a_box, say
from tests.image.stack import Stack, checked_out, first

NOW, THEN = "batchweb-image-test:now", "batchweb-image-test:before"
NOT_DONE = 2
FAILURES = (AssertionError, httpx.HTTPError, subprocess.SubprocessError)
TAKES = "It takes Docker with compose (DOCKER_HOST may lead to podman's socket), or root and debootstrap on Linux."


def step(name: str, trial: Callable[[], str]) -> None:
    """Runs it, and says what came of it and how long it took."""
    begun = time.monotonic()
    say(f"{name} …")
    came = trial()
    say(f"{name}: {came} ({time.monotonic() - begun:.0f} s)")


def bases(found: Engine, checkouts: list[Stack], made: list[str]) -> str:
    tags = sorted({tag for stack in checkouts for tag in named(stack.folder)})
    made += [tag for tag in tags if bring(found, tag)]
    sizes = {tag: int(found.out("image", "inspect", "-f", "{{.Size}}", tag)) for tag in tags}
    return ", ".join(f"{tag} {size / 1e6:.0f} MB" for tag, size in sizes.items())


def tried(found: Engine, stack: Stack, made: list[str]) -> None:
    """Everything, in the order in which each step stands on the ones before."""
    step("Base images", lambda: bases(found, [stack], made))
    step("Build", lambda: trials.build(found, stack))
    step("Start", lambda: trials.start(stack))
    step("A job", lambda: trials.job(stack))
    step("Confined", lambda: trials.confined(stack))
    for services in (("worker",), ("valkey",), ("postgres",), ("web", "loader", "keeper")):
        step(f"Kill {', '.join(services)}", partial(trials.killed, stack, *services))
    step("Stop and start", lambda: trials.stopped(stack))
    stack.remove()


def upgrade(found: Engine, stack: Stack, made: list[str]) -> None:
    if not (revision := trials.image_before()):
        say("Upgrade: not tried, for git has no commit from before the last migration here; fetch the history.")
        return
    before = stack.moved(checked_out("before", revision), THEN)
    step("Base images of before", lambda: bases(found, [before], made))
    step(f"Build {revision}", lambda: trials.build(found, before))
    step(f"Upgrade from {revision}", lambda: trials.upgraded(before, stack))


def clean(found: Engine, stack: Stack, made: list[str]) -> str:
    """Nothing stays but what was there before. Raises AssertionError where something does."""
    stack.remove()
    # In a box of its own they are kept like the box.
    found.run("image", "rm", "-f", NOW, THEN, *([] if os.environ.get(INSIDE) else [*made, DEBIAN]))
    kinds = (("ps", "-a"), ("volume", "ls"), ("network", "ls"))
    left = [found.out(*kind, "-q", "--filter", f"name={stack.project}") for kind in kinds]
    assert not "".join(left), f"Something of {stack.project} stays: {left}"
    return "nothing stays"


def tested(found: Engine) -> None:
    made: list[str] = []
    found.run("image", "rm", "-f", NOW, THEN)  # of a run that was killed
    stack = first(found, checked_out("now"), NOW)
    try:
        tried(found, stack, made)
        upgrade(found, stack, made)
    except FAILURES:
        say(stack.logs())
        raise
    finally:
        step("Clean up", lambda: clean(found, stack, made))


def terminated(number: int, frame: FrameType | None) -> None:
    """Ends as Ctrl-C does, so that the containers are taken away."""
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, terminated)
    try:
        tested(engine())
    except NoEngine as error:
        if os.environ.get(INSIDE):
            raise
        say(f"{error}: starting one in a box …")
        return in_a_box([sys.executable, "-m", "tests.image"])
    say("make image-test: everything held")
    return 0


def told() -> int:
    try:
        return main()
    except Missing as error:
        say(f"The image was not tested: {error}. {TAKES}")
        return NOT_DONE
    except FAILURES as error:
        say(f"make image-test: failed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(told())
