"""Every state that the pages can be in, brought about in the real product: for pictures and for checks of them all.

Each is named by what a person sees. A state is there once what it is about can be seen; else it fails.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import FilePayload, Page, WebSocketRoute, expect

from tests.browser.stage import LARGEST, Stage, mixed, queries, rows
from tests.system import frozen

HALF: Final = rows(6_000) + '006001,"Anna Nowak\n' + rows(6_000)  # a quote that is never closed
Show = Callable[[Stage], Any]  # a context manager that gives a page
STATES: Final[dict[str, Show]] = {}
SOON: Final = 30_000  # milliseconds in which a page must show what it is about
MANY: Final = 100_000
MILLION: Final = 1_000_000
# Those that are looked at on a very large screen, too.
MAIN: Final = ("jobs", "running, 100,000 items", "running, 1,000,000 items", "failed items only", "new job with a file")


def state(name: str) -> Callable[[Callable[[Stage], Iterator[Page]]], Show]:
    def added(show: Callable[[Stage], Iterator[Page]]) -> Show:
        STATES[name] = contextmanager(show)
        return STATES[name]

    return added


@contextmanager
def shown(stage: Stage, code: str, badge: str, **options: Any) -> Iterator[Page]:
    """The page of a job, once its badge says so and the line to the server stands."""
    with stage.tab(f"/jobs/{code}/", **options) as page:
        expect(page.locator("#badge")).to_have_text(re.compile(badge), timeout=SOON)
        expect(page.locator("#live")).to_have_text("Live", timeout=SOON)
        charts = page.locator("#charts:is([data-empty], :has(canvas))")
        expect(charts).to_be_attached(timeout=SOON)
        yield page


@contextmanager
def passing(stage: Stage, code: str) -> Iterator[None]:
    """A job that would go on for long: cancelled once nobody looks at it any more."""
    try:
        yield
    finally:
        stage.act(code, "cancel")


def slow_after(quick: int) -> Callable[[int], str]:
    """So many rows that are done at once, and then some that take until their time is up: a minute each."""
    return lambda at: mixed(at) if at < quick else "slow:600"


def good(stage: Stage) -> str:
    return stage.ended("Orders of May", rows(240))


def flawed(stage: Stage) -> str:
    return stage.ended("Geocode EU addresses", rows(2_000, mixed), workers="20")


# Before anything runs


@state("loading")
def loading(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Newsletter 2026", rows(100_000), then="check")
    stage.until(code, lambda frame: frame["total"] > 10_000 or frame["state"] != "loading")
    still = frozen(stage.loader, *stage.loader.children())
    with passing(stage, code), still, shown(stage, code, "Reading the file") as page:
        yield page


@state("ready")
def ready(stage: Stage) -> Iterator[Page]:
    code = stage.job("ready", lambda: stage.submit("Addresses to check", rows(1_200) + ",,,,what\n", then="check"))
    with shown(stage, code, "Ready") as page:
        expect(page.get_by_text("What was read")).to_be_visible()
        yield page


@state("tried")
def tried(stage: Stage) -> Iterator[Page]:
    def made() -> str:
        code = stage.submit(
            "Addresses to try", rows(1_200, lambda at: "fail:Empty postcode" if at == 3 else "ok"), then="check"
        )
        stage.until(code, lambda frame: frame["state"] == "ready")
        stage.act(code, "try")
        return code

    code = stage.job("tried", made)
    stage.until(code, lambda frame: frame["state"] == "ready" and frame["counts"]["succeeded"])
    with shown(stage, code, "Ready") as page:
        expect(page.get_by_role("heading", name="Trial", exact=True)).to_be_visible()
        yield page


@state("invalid")
def invalid(stage: Stage) -> Iterator[Page]:
    code = stage.job("invalid", lambda: stage.submit("Half a download", HALF))
    with shown(stage, code, "Cannot be read") as page:
        yield page


@state("waiting in line")
def waiting(stage: Stage) -> Iterator[Page]:
    with frozen(*stage.worker.children()):
        first, second = (stage.submit(name, rows(400)) for name in ("Returns of May", "Returns of June"))
        with shown(stage, second, "Waiting") as page:
            expect(page.locator("#state")).to_contain_text("2nd in line", timeout=SOON)
            yield page
    stage.until(first, lambda frame: frame["state"] == "finished")
    stage.until(second, lambda frame: frame["state"] == "finished")


@state("no worker")
def no_worker(stage: Stage) -> Iterator[Page]:
    with frozen(stage.worker, *stage.worker.children()):
        code = stage.submit("Returns of July", rows(400))
        with shown(stage, code, "Waiting") as page:
            expect(page.get_by_text("No worker is running.", exact=True)).to_be_visible(timeout=SOON)
            yield page
    stage.until(code, lambda frame: frame["state"] == "finished")


# While it runs


def running(stage: Stage, name: str, amount: int, quick: int, **fields: Any) -> Iterator[Page]:
    code = stage.submit(name, rows(amount, slow_after(quick)), **fields)
    with passing(stage, code):
        stage.until(code, lambda frame: frame["counts"]["succeeded"] + frame["counts"]["failed"] >= quick)
        with shown(stage, code, "Running") as page:
            yield page


@state("running, 5 items")
def running_few(stage: Stage) -> Iterator[Page]:
    yield from running(stage, "Five addresses", 5, 3, workers="2")


@state("running, 300 items")
def running_some(stage: Stage) -> Iterator[Page]:
    yield from running(stage, "Suppliers", 300, 190, workers="12")


@state("running, 100,000 items")
def running_many(stage: Stage) -> Iterator[Page]:
    fields = {"workers": "40", "attempts": "3", "rate": "2000"}
    code = stage.submit("All customers", rows(MANY, mixed), **fields)
    with passing(stage, code):
        stage.until(code, lambda frame: frame["counts"]["succeeded"] >= 30_000, 240)
        with shown(stage, code, "Running") as page:
            expect(page.locator("#charts canvas").first).to_be_visible(timeout=SOON)
            yield page


@state("running, 1,000,000 items")
def running_million(stage: Stage) -> Iterator[Page]:
    """Packed, since the file is larger than this system takes."""
    fields = {"workers": "50", "param_seconds": "0", "param_jitter": "0"}
    code = stage.submit("Every customer", gzip.compress(rows(MILLION, mixed).encode(), 1), **fields)
    with passing(stage, code):
        stage.until(code, lambda frame: frame["counts"]["succeeded"] >= 150_000, 300)
        with shown(stage, code, "Running") as page:
            expect(page.locator("#charts canvas").first).to_be_visible(timeout=SOON)
            expect(page.locator("#map-caption")).to_contain_text("1 dot")
            yield page


@state("worker silent")
def silent(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Returns of August", rows(600, slow_after(260)), workers="10")
    with passing(stage, code):
        stage.until(code, lambda frame: frame["counts"]["succeeded"] > 240)
        with frozen(stage.worker, *stage.worker.children()), shown(stage, code, "Running") as page:
            expect(page.locator("#state")).to_contain_text("was last seen", timeout=SOON)
            expect(page.locator("#state b")).to_have_text("Waiting for a worker")
            yield page


@state("throttled")
def throttled(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Search queries", queries(240), "rewrite-query", workers="4")
    with passing(stage, code):
        stage.until(code, lambda frame: frame["throttled"])
        with shown(stage, code, "Throttled") as page:
            expect(page.locator("#state")).to_contain_text("The service asks to wait")
            yield page


@state("adjust")
def adjust(stage: Stage) -> Iterator[Page]:
    for page in running(stage, "Parcels", 300, 120, workers="12"):
        page.locator("#run-settings > summary").click()
        expect(page.get_by_role("heading", name="Adjust this job")).to_be_visible()
        yield page


@state("paused by a person")
def paused(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Invoices", rows(3_000, mixed), rate="400", workers="20")
    with passing(stage, code):
        stage.until(code, lambda frame: frame["counts"]["succeeded"] > 900)
        stage.act(code, "pause")
        with shown(stage, code, "Paused") as page:
            yield page


@state("paused by the failure limit")
def limited(stage: Stage) -> Iterator[Page]:
    text = rows(2_000, lambda at: "fail:Unknown address" if at > 300 else "ok")
    code = stage.submit("Old addresses", text, limit_count="25", workers="5")
    with passing(stage, code), shown(stage, code, "Paused") as page:
        yield page


@state("cancelling")
def cancelling(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Wrong file", rows(500, lambda at: mixed(at) if at < 200 else "slow:45"), workers="16")
    stage.until(code, lambda frame: frame["counts"]["running"] == 16 and frame["counts"]["succeeded"] > 150)
    stage.act(code, "cancel")
    with shown(stage, code, "Cancelling") as page:
        yield page


# How it ends


@state("finished")
def finished(stage: Stage) -> Iterator[Page]:
    with shown(stage, good(stage), "^Finished$") as page:
        yield page


@state("finished with failures")
def finished_with_failures(stage: Stage) -> Iterator[Page]:
    with shown(stage, flawed(stage), "Finished with failures") as page:
        yield page


@state("failed items only")
def filtered(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/?state=failed") as page:
        expect(page.locator("#items tbody .badge", has_text="Failed").first).to_be_visible()
        expect(page.locator("#items tbody .badge", has_text="Succeeded")).to_have_count(0)
        yield page


@state("all failed")
def all_failed(stage: Stage) -> Iterator[Page]:
    code = stage.ended("Addresses abroad", rows(120, lambda at: "fail:Unknown country"))
    with shown(stage, code, "^Failed$") as page:
        yield page


@state("finished with rejected rows")
def rejected(stage: Stage) -> Iterator[Page]:
    code = stage.ended("Orders of April", rows(240) + "000241,Anna Nowak,what,is,this,row\n")
    with shown(stage, code, "Finished with failures") as page:
        expect(page.locator("#state")).to_contain_text("1 rejected")
        yield page


@state("cancelled")
def cancelled(stage: Stage) -> Iterator[Page]:
    def made() -> str:
        code = stage.submit("Test run", rows(900, mixed), rate="300", workers="10")
        stage.until(code, lambda frame: frame["counts"]["succeeded"] > 250)
        stage.act(code, "cancel")
        return code

    with shown(stage, stage.job("cancelled", made), "^Cancelled$") as page:
        yield page


@state("items, nothing found")
def nothing_found(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{good(stage)}/?state=failed&q=nothing-like-this#items") as page:
        expect(page.get_by_text("No items match.")).to_be_visible()
        yield page


@state("no results")
def no_results(stage: Stage) -> Iterator[Page]:
    code = stage.job("invalid", lambda: stage.submit("Half a download", HALF))
    stage.until(code, lambda frame: frame["state"] == "invalid")
    with stage.tab(f"/jobs/{code}/results.csv") as page:
        expect(page.get_by_role("heading", name="There are no results")).to_be_visible()
        yield page


# When the line is lost


def cut(stage: Stage, said: str, answered: bool) -> Iterator[Page]:
    """A page whose socket is gone; another one is refused, or nobody speaks on it."""
    code = stage.submit("Deliveries", rows(400, slow_after(240)), workers="8")
    lines: list[WebSocketRoute] = []

    def connect(line: WebSocketRoute) -> None:
        lines.append(line)
        if len(lines) == 1:
            line.connect_to_server()
        elif answered:
            line.close(code=1012)

    with passing(stage, code), stage.context() as context:
        stage.until(code, lambda frame: frame["counts"]["succeeded"] > 200)
        page = stage.listened(context.new_page())
        page.route_web_socket(re.compile("/ws/"), connect)
        page.goto(f"/jobs/{code}/")
        expect(page.locator("#live")).to_have_text("Live", timeout=SOON)
        lines[0].close(code=1012)
        expect(page.locator("#lost")).to_contain_text(said, timeout=SOON)
        yield page


@state("reconnecting")
def reconnecting(stage: Stage) -> Iterator[Page]:
    yield from cut(stage, "Connection lost", answered=False)


@state("offline")
def offline(stage: Stage) -> Iterator[Page]:
    yield from cut(stage, "Live updates are off", answered=True)


@state("gone")
def gone(stage: Stage) -> Iterator[Page]:
    code = stage.submit("Sent twice", rows(60))
    stage.until(code, lambda frame: frame["state"] == "finished")
    with shown(stage, code, "Finished") as page:
        stage.act(code, "delete")
        expect(page.locator("#lost")).to_contain_text("nothing to watch here any more", timeout=SOON)
        yield page


# The other pages


@state("jobs")
def jobs(stage: Stage) -> Iterator[Page]:
    good(stage), flawed(stage)
    code = stage.submit("Suppliers of June", rows(400, slow_after(260)), workers="8")
    with passing(stage, code), stage.tab("/") as page:
        expect(page.locator(f"[data-code='{code}'] .badge")).to_have_text("Running", timeout=SOON)
        expect(page.get_by_role("link", name="Geocode EU addresses", exact=True)).to_be_visible()
        expect(page.locator("#live")).to_have_text("Live", timeout=SOON)
        yield page


@state("no jobs yet")
def no_jobs(stage: Stage) -> Iterator[Page]:
    with stage.tab("/", "newcomer") as page:
        expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
        yield page


@state("no jobs match")
def no_match(stage: Stage) -> Iterator[Page]:
    good(stage)
    with stage.tab("/?q=nothing-like-this") as page:
        expect(page.get_by_role("heading", name="No jobs match")).to_be_visible()
        yield page


@state("new job")
def new(stage: Stage) -> Iterator[Page]:
    with stage.tab("/jobs/new/") as page:
        expect(page.get_by_role("radio", name=re.compile("Simulate"))).to_be_visible()
        yield page


@state("new job with a file")
def new_with_file(stage: Stage) -> Iterator[Page]:
    with stage.tab("/jobs/new/") as page:
        file: FilePayload = {"name": "customers.csv", "mimeType": "text/csv", "buffer": rows(800).encode()}
        page.set_input_files("#id_file", file)
        expect(page.locator("#preview")).to_contain_text("Anna Nowak", timeout=SOON)
        page.get_by_role("radio", name=re.compile("Simulate")).check()
        expect(page.locator("#id_map_simulate")).to_have_value("simulate", timeout=SOON)
        yield page


@state("item")
def item(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/items/6/") as page:
        expect(page.get_by_role("heading", name="Row 6", exact=True)).to_be_visible()
        expect(page.get_by_role("heading", name="Error", exact=True)).to_be_visible()
        yield page


@state("item beside the page")
def drawer(stage: Stage) -> Iterator[Page]:
    """A page of its own where nothing opens beside the table."""
    with stage.tab(f"/jobs/{flawed(stage)}/?state=failed") as page:
        page.locator("#items tbody .row-link").first.click()
        expect(page.get_by_role("heading", name="Row 4", exact=True)).to_be_visible()
        yield page


def shared(stage: Stage) -> str:
    """A job that a colleague may look at; what is there already stays."""
    code = good(stage)
    stage.client("bob")
    answer = stage.system.post(stage.client(), f"/jobs/{code}/share/", {"person": "bob", "may": "look"})
    assert answer.status_code == 302, answer.text[:2000]
    return code


@state("shared")
def sharing(stage: Stage) -> Iterator[Page]:
    with shown(stage, shared(stage), "Finished") as page:
        page.locator("#sharing > summary").click()
        page.get_by_text("Give the job to somebody else").click()
        expect(page.locator(".people")).to_contain_text("bob")
        yield page


@state("shared with you")
def shared_with(stage: Stage) -> Iterator[Page]:
    with shown(stage, shared(stage), "Finished", person="bob") as page:
        page.locator("#sharing > summary").click()
        expect(page.get_by_text("admin lets you look at this job.")).to_be_visible()
        yield page


@state("activity")
def activity(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{shared(stage)}/activity/") as page:
        expect(page.get_by_text("Shared with bob, who may look")).to_be_visible()
        yield page


@state("keys")
def keys(stage: Stage) -> Iterator[Page]:
    with shown(stage, flawed(stage), "Finished with failures") as page:
        expect(page.locator("html[data-keys]")).to_be_attached()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        yield page


@state("question")
def question(stage: Stage) -> Iterator[Page]:
    with shown(stage, flawed(stage), "Finished with failures") as page:
        page.locator("#actions [data-retry]").click()
        expect(page.get_by_role("dialog", name=re.compile("Retry [0-9,]+ items?"))).to_be_visible()
        yield page


@state("causes, some accepted")
def accepted(stage: Stage) -> Iterator[Page]:
    code = stage.ended("Addresses of June", rows(2_000, mixed), workers="20")
    job = f"(SELECT id FROM jobs_job WHERE code = '{code}')"
    stage.sql(f"UPDATE jobs_cause SET accepted = count WHERE kind = 'Timeout' AND job_id = {job}")
    with shown(stage, code, "Finished with failures") as page:
        page.locator("#accepted summary").click()
        expect(page.locator("#causes-accepted")).to_contain_text("Timeout")
        yield page


@state("history of an item")
def history(stage: Stage) -> Iterator[Page]:
    """Tried in two runs, with its input fixed in between, as a correction leaves it."""
    code = stage.job("history", lambda: stage.ended("Addresses of July", rows(300, mixed)))
    stage.act(code, "retry")
    stage.until(code, lambda frame: frame["run"] == 2 and frame["state"] == "finished")
    stage.sql(
        "INSERT INTO jobs_correction (job_id, position, run_id, at, payload) SELECT r.job_id, 3, r.id, r.created, "
        """'["000004","Luca Rossi","Veldstraat","Tours","fail:Unknown address"]' """
        f"FROM jobs_run r JOIN jobs_job j ON j.id = r.job_id WHERE j.code = '{code}' AND r.number = 2"
    )
    with stage.tab(f"/jobs/{code}/items/4/") as page:
        page.get_by_text("What it was before").click()
        expect(page.get_by_text("Attempt 2", exact=True)).to_be_visible()
        yield page


@state("without JavaScript")
def bare(stage: Stage) -> Iterator[Page]:
    with stage.tab(f"/jobs/{flawed(stage)}/", java_script_enabled=False) as page:
        expect(page.locator("[data-v=succeeded]").first).to_have_text(re.compile(r"1,\d{3}"))
        yield page


@state("forced colours")
def forced(stage: Stage) -> Iterator[Page]:
    with shown(stage, flawed(stage), "Finished with failures", forced_colors="active") as page:
        yield page


@state("sign-in")
def sign_in(stage: Stage) -> Iterator[Page]:
    with stage.tab("/accounts/login/?next=/", None) as page:
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        yield page


@state("sign-in refused")
def refused(stage: Stage) -> Iterator[Page]:
    with stage.tab("/accounts/login/", None) as page:
        page.get_by_label("Username").fill("anna")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        yield page


@state("403")
def forbidden(stage: Stage) -> Iterator[Page]:
    stage.client("helper")
    stage.sql("UPDATE auth_user SET is_staff = 1 WHERE username = 'helper'")
    with stage.tab("/admin/auth/user/", "helper") as page:
        expect(page.get_by_text("403", exact=True)).to_be_visible()
        yield page


@state("404")
def missing(stage: Stage) -> Iterator[Page]:
    with stage.tab("/jobs/nosuchjob234/") as page:
        expect(page.get_by_text("404", exact=True)).to_be_visible()
        yield page


@state("413")
def too_large(stage: Stage) -> Iterator[Page]:
    """The page looks at the size before it sends anything; without its script the server says it."""
    file: FilePayload = {"name": "all.csv", "mimeType": "text/csv", "buffer": b"x\n" * ((LARGEST + 1) * 512 * 1024)}
    with stage.tab("/jobs/new/", java_script_enabled=False) as page:
        page.set_input_files("#id_file", file)
        page.locator("#start").click()
        expect(page.get_by_text("413", exact=True)).to_be_visible(timeout=SOON)
        yield page


@state("500")
def broken(stage: Stage) -> Iterator[Page]:
    """The admin's front page reads a table that is away for a moment; nothing else does."""
    stage.client()
    stage.sql("ALTER TABLE django_admin_log RENAME TO away")
    try:
        with stage.tab("/admin/") as page:
            expect(page.get_by_text("500", exact=True)).to_be_visible()
            yield page
    finally:
        stage.sql("ALTER TABLE away RENAME TO django_admin_log")
