"""What everybody can use: every kind of page, wide and narrow, light and dark, looked at by axe-core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.places import STATES
from tests.browser.stage import Stage, staged
from tests.services import Missing, skip_or_fail
from tests.services.axe import axe

pytestmark = pytest.mark.browser

LOOKED_AT: Final = (
    "ready", "invalid", "waiting in line", "running, 300 items", "paused by the failure limit", "finished",
    "finished with failures", "failed items only", "all failed", "reconnecting", "jobs", "no jobs yet",
    "no jobs match", "new job with a file", "item", "item beside the page", "causes, some accepted",
    "history of an item", "all causes", "corrections", "corrections, empty", "retry with settings", "rows chosen",
    "edit an item", "shared", "shared with you", "activity",
    "keys", "question", "sign-in refused", "sign-in, too many tries", "sign-in, second factor", "second factor, none",
    "second factor, who is it", "second factor, app", "second factor, recovery codes", "second factor, set up",
    "second factor, a passkey", "sessions", "reset a password",
    "404", "admin", "admin, jobs", "admin, a job", "admin, a question", "admin, items", "admin, no job chosen",
    "admin, an item", "admin, causes", "admin, workers", "admin, activity", "admin, people", "admin, security events",
)  # fmt: skip
WIDTHS: Final = (1440, 390)
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK: Final = """async (rules) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: rules }, resultTypes: ["violations"] });
  const places = (one) => one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ");
  return found.violations.map((one) => `${one.id}: ${places(one)}`);
}"""


@pytest.fixture(scope="module")
def script() -> str:
    try:
        return axe()
    except Missing as error:
        skip_or_fail(error)
        raise


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage"), browser) as made:
        yield made


@pytest.fixture(scope="module", params=LOOKED_AT)
def shown(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Page]:
    """A page in that state, for all tests of it."""
    stage.complaints.clear()
    with STATES[request.param](stage) as page:
        yield page


def mistakes(page: Page, script: str) -> Iterator[tuple[int, str, Any]]:
    page.evaluate(script)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            yield from ((width, theme, found) for found in page.evaluate(LOOK, RULES))


def test_it_has_no_mistakes_of_accessibility(shown: Page, script: str) -> None:
    assert list(mistakes(shown, script)) == []


def test_it_fits_a_phone(shown: Page) -> None:
    shown.set_viewport_size({"width": 390, "height": 844})
    assert shown.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_it_complains_about_nothing(shown: Page, stage: Stage) -> None:
    assert stage.complaints == []


def test_it_stands_still_for_who_wants_that(shown: Page) -> None:
    shown.emulate_media(reduced_motion="reduce")
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    assert shown.evaluate(moving) == 0
