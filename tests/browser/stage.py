"""A running product to look at: people, tabs, and jobs with rows that read like real ones."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.processors.servers import reply, serving
from tests.system import System, free_port, until

NAMES = ("Anna Nowak", "Jean Dupont", "Maja Berg", "Luca Rossi", "Nora Kuusk", "Pavel Svoboda", "Inês Costa")
STREETS = ("Długa", "Rue Victor Hugo", "Veldstraat", "Via Roma", "Linnankatu", "Hauptstraße", "Rua das Flores")
CITIES = ("Gdańsk", "Tours", "Ghent", "Bologna", "Turku", "Graz", "Porto")
LARGEST = 16  # megabytes of a file
ANSWERED = 40  # questions that the language model answers before it asks to wait
# Where the machinery of jobs stands still, nobody must think that it died.
SETTINGS = {
    "JOBS_MAX_UPLOAD_MB": str(LARGEST),
    "JOBS_LEASE_SECONDS": "600",
    "LLM_API_KEY": "nothing-secret",
    "LLM_MODEL": "small",
    "LOG_LEVEL": "WARNING",
    "WORKER_PROCESSES": "6",
}

Fate = Callable[[int], str]


def fine(at: int) -> str:
    return "ok"


def mixed(at: int) -> str:
    """Four causes of failure, as they come in real files: one frequent, some rare."""
    kinds = (
        (97, 5, "Timeout"),
        (163, 9, "Too many requests"),
        (271, 3, "Unknown address"),
        (389, 12, "Empty postcode"),
    )
    return next((f"fail:{kind}" for every, first, kind in kinds if at % every == first), "ok")


def rows(amount: int, fate: Fate = fine) -> str:
    """A file of addresses; `fate` says what becomes of each."""
    lines = (
        f"{at + 1:06},{NAMES[at % 7]},{STREETS[at * 3 % 7]} {at % 190 + 1},{CITIES[at * 5 % 7]},{fate(at)}\n"
        for at in range(amount)
    )
    return "order,name,street,city,simulate\n" + "".join(lines)


def queries(amount: int) -> str:
    """A file of search queries, most of them longer than they need to be."""
    asked = (
        "Could you please tell me which {} is the best one to visit in {}?",
        "I would really like to know where to find a {} in the middle of {}",
        "cheap {} near {}",
        "Hi, I was wondering how much a {} costs in {} on a normal day",
    )
    things = ("museum", "hotel", "flight", "restaurant", "bicycle", "concert", "ferry")
    lines = (
        f"q-{at + 1:04},{json.dumps(asked[at % 4].format(things[at % 7], CITIES[at * 3 % 7]), ensure_ascii=False)}"
        for at in range(amount)
    )
    return "\n".join(("id,query", *lines)) + "\n"


class Stage:
    """One running system, and one browser to look at it with."""

    def __init__(self, system: System, browser: Browser) -> None:
        self.system = system
        self.browser = browser
        self.complaints: list[str] = []
        self._jobs: dict[str, str] = {}
        self._people: dict[str, httpx.Client] = {}

    # People and tabs

    def client(self, person: str = "") -> httpx.Client:
        """Signed in as `person`, who is made on first use; as the administrator without a name."""
        if person not in self._people:
            if person:
                self.system.person(person)
            self._people[person] = self.system.client(person)
        return self._people[person]

    @contextmanager
    def context(self, person: str | None = "", **options: Any) -> Iterator[BrowserContext]:
        """A window of this person; of a stranger with None."""
        context = self.browser.new_context(base_url=self.system.url, color_scheme="light", **options)
        if person is not None:
            cookies = self.client(person).cookies
            # And not what the server wanted to say to whoever pressed the last button.
            known = {name: cookies[name] for name in ("batchweb_session", "csrftoken") if name in cookies}
            context.add_cookies([{"name": name, "value": known[name], "url": self.system.url} for name in known])
        try:
            yield context
        finally:
            context.close()

    @contextmanager
    def tab(self, path: str, person: str | None = "", **options: Any) -> Iterator[Page]:
        """A tab of this person that shows `path`."""
        with self.context(person, **options) as context:
            page = self.listened(context.new_page())
            page.goto(path)
            yield page

    def listened(self, page: Page) -> Page:
        """The page, whose complaints are noted; it may say what the server answered, and that a socket was cut."""
        expected = re.compile("Failed to load resource: the server responded with a status of|WebSocket connection")

        def note(message: ConsoleMessage) -> None:
            if message.type == "error" and not expected.search(message.text):
                self.complaints.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    # Jobs

    def submit(self, name: str, text: str | bytes, processor: str = "simulate", **fields: Any) -> str:
        """The code of a new job of this file that starts right away; `fields` are those of the form."""
        defaults = {"processor": processor, "name": name, "then": "start"}
        if processor == "simulate":
            defaults |= {"param_seconds": "0.02", "param_jitter": "0.6", "label_column": "street"}
        content = text.encode() if isinstance(text, str) else text
        file = {"file": (f"{name.lower()}.csv", content, "text/csv")}
        answer = self.system.post(self.client(), "/jobs/new/", defaults | fields, file)
        assert answer.is_success, re.findall("error[^<]*<.*", answer.text)
        return str(answer.json()["url"]).split("/")[2]

    def job(self, key: str, make: Callable[[], str]) -> str:
        """The job that is known as `key` here, made when it is first asked for."""
        if key not in self._jobs:
            self._jobs[key] = make()
        return self._jobs[key]

    def until(self, code: str, ready: Callable[[dict[str, Any]], object], within: float = 90.0) -> dict[str, Any]:
        """The job's numbers, once they are as `ready` wants them."""
        found: dict[str, Any] = {}

        def asked() -> object:
            found.update(self.system.snapshot(self.client(), code))
            return ready(found)

        until(asked, within, f"job {code} is as it should be; it is {found.get('state')}, {found.get('counts')}")
        return found

    def act(self, code: str, verb: str) -> None:
        answer = self.system.post(self.client(), f"/jobs/{code}/{verb}/", {})
        assert answer.status_code == 302, answer.text[:2000]

    def ended(self, key: str, text: str, **fields: Any) -> str:
        """A job that has come to its end."""
        code = self.job(key, lambda: self.submit(key, text, **fields))
        self.until(code, lambda frame: frame["state"] in ("finished", "invalid", "cancelled"))
        return code

    def sql(self, statement: str) -> None:
        """What no page and no command does."""
        with closing(sqlite3.connect(self.system.folder / "var" / "db.sqlite3", timeout=20)) as database, database:
            database.execute(statement)

    # What stands still

    @cached_property
    def worker(self) -> psutil.Process:
        """The parent of those that work, once all of them are there."""
        found = self._service("-Q work")
        until(lambda: len(found.children()) >= int(SETTINGS["WORKER_PROCESSES"]), 60, "all processes have started")
        return found

    @cached_property
    def loader(self) -> psutil.Process:
        return self._service("-Q load")

    def _service(self, words: str) -> psutil.Process:
        """The parent of such processes: the first of them that was started."""
        return min(self.system.processes(words), key=lambda process: process.create_time())


@contextmanager
def staged(folder: Path, browser: Browser) -> Iterator[Stage]:
    """A system of its own, beside a language model that soon asks to wait."""
    with serving(model()) as base:
        system = System(folder, free_port())
        system.env |= SETTINGS | {"LLM_BASE_URL": f"{base}/v1"}
        system.start()
        try:
            yield Stage(system, browser)
        finally:
            system.kill()


def model() -> Callable[[BaseHTTPRequestHandler], None]:
    asked = count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        if next(asked) >= ANSWERED:
            reply(handler, 429, b"{}", retry_after="300")
            return
        content = {"choices": [{"message": {"role": "assistant", "content": "capital of Australia"}}]}
        reply(handler, 200, json.dumps(content).encode())

    return answer
