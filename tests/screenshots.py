"""`python -m tests.screenshots [STATE …]`: pictures of every state of the product, wide and narrow, light and dark.

Real servers, real jobs, a real browser. They are written to screenshots/, and a state that does not come about fails.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, sync_playwright

from tests.browser.places import STATES
from tests.browser.stage import Stage, staged
from tests.browser.states import MAIN
from tests.services import ROOT
from tests.services.chromium import chromium

FOLDER: Final = ROOT / "screenshots"
SIZES: Final = ((1440, 900), (390, 844))
LARGE: Final = (2560, 1440)
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
TALLEST: Final = 2400  # pixels: longer pages are cut there
SETTLED: Final = 0.7  # seconds until everything that follows a new size or theme is drawn


def short(state: str) -> str:
    """The state as part of a file's name, and as somebody may ask for it."""
    return re.sub("[^a-z0-9]+", "_", state.lower())


def file_of(state: str, width: int, theme: str) -> Path:
    return FOLDER / f"{short(state)}_{width}_{theme}.png"


def fit(page: Page, width: int, height: int) -> None:
    """As tall as the page is, so that what sticks to the bottom of the window is at the bottom of the picture."""
    page.set_viewport_size({"width": width, "height": height})
    wide, tall = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    if wide > width:
        raise AssertionError(f"The page is {wide} pixels wide in a window of {width}.")
    page.set_viewport_size({"width": width, "height": min(TALLEST, max(height, tall))})


def draw(page: Page, state: str) -> None:
    for width, height in (*SIZES, LARGE) if state in MAIN else SIZES:
        fit(page, width, height)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            time.sleep(SETTLED)
            page.screenshot(path=file_of(state, width, theme), caret="initial")


def take(stage: Stage, names: Iterable[str]) -> list[str]:
    """The states of which there is no picture now."""
    missing = []
    for name in names:
        started = time.monotonic()
        try:
            stage.complaints.clear()
            with STATES[name](stage) as page:
                draw(page, name)
            if stage.complaints:
                raise AssertionError(f"The page complains: {stage.complaints}")
        except Exception:
            traceback.print_exc()
            missing.append(name)
        said = "MISSING" if name in missing else f"{time.monotonic() - started:.0f} s"
        sys.stdout.write(f"{name}: {said}\n")
        sys.stdout.flush()
    return missing


def main(names: list[str]) -> int:
    known = {short(name): name for name in STATES}
    if unknown := set(names) - set(known):
        sys.stderr.write(f"There is no state {', '.join(unknown)}. There are: {', '.join(known)}.\n")
        return 2
    FOLDER.mkdir(exist_ok=True)
    found = chromium()
    with tempfile.TemporaryDirectory(prefix="bw-pictures-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.path, env=found.environment())
        with staged(Path(folder), browser) as stage:
            missing = take(stage, [known[name] for name in names or known])
        browser.close()
    if missing:
        sys.stderr.write(f"There is no picture of: {', '.join(missing)}.\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
