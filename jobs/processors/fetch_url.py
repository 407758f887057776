"""Fetches a web page for each item, and nothing that is not on the public web."""

from __future__ import annotations

import http
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from jobs.engine import Policy, RetryLater
from jobs.processors import certificates, pages
from jobs.processors.base import Context, Failed, Input, Parameter, Processor
from jobs.processors.environment import allowed, setting
from jobs.processors.guarded import PORTS, Deadline, Guard, GuardedBackend, refused
from jobs.processors.retry_after import wait_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOPS = 10
SIZE = 2_000_000
LONGEST_WAIT = 300.0
# A host may ask to wait for ever, and waiting costs no attempt: a page is asked for so many times, and a host that has
# said nothing else for so many seconds is asked in vain.
WAITS = 5
LONGEST_SILENCE = 3600.0
HEADERS = [
    (b"User-Agent", b"batchweb"),
    (b"Accept", b"text/html,application/xhtml+xml,*/*;q=0.8"),
    (b"Accept-Encoding", b"gzip, deflate"),
]


@dataclass(frozen=True, slots=True)
class Page:
    """What came back for one address, redirects followed."""

    status: int
    url: str
    headers: httpx.Headers
    body: bytes


class Fetcher:
    """Fetches pages for one thread. It keeps no cookies and asks the environment for no proxy."""

    def __init__(self, guard: Guard, seconds: float, network: httpcore.NetworkBackend | None = None) -> None:
        self._guard = guard
        self._seconds = seconds
        self._deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=certificates.shared(trust_env=False),
            max_connections=4,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(guard, self._deadline, network),
        )

    def get(self, address: str) -> Page:
        """The page; raises Failed. Every redirect is checked like the first address."""
        self._deadline.start(self._seconds)
        url = _parse(address)
        for _ in range(HOPS + 1):
            answer = self._hop(url)
            if isinstance(answer, Page):
                return answer
            url = answer
        raise Failed("too many redirects", f"The page redirects more than {HOPS} times.")

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()

    def _hop(self, url: httpx.URL) -> Page | httpx.URL:
        self._guard.check(url)
        try:
            with self._request(url) as response:
                return self._read(url, response)
        except httpcore.TimeoutException:
            raise Failed("timed out", f"The page took longer than {self._seconds:g} seconds.") from None
        except httpcore.ConnectError as error:
            raise _unreachable(error) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Failed("connection failed", "The connection broke, or the answer was no HTTP.") from None

    def _request(self, url: httpx.URL) -> AbstractContextManager[httpcore.Response]:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        return self._pool.stream("GET", target, headers=[(b"Host", url.netloc), *HEADERS])

    def _read(self, url: httpx.URL, response: httpcore.Response) -> Page | httpx.URL:
        headers = httpx.Headers(response.headers)
        if response.status in REDIRECTS and "location" in headers:
            return _parse(headers["location"], url)
        # A page that says no is not read: its status is all that is told of it.
        wanted = 0 if response.status >= 400 else SIZE
        encoding = headers.get("content-encoding", "")
        body = pages.body(response.iter_stream(), encoding, wanted) if wanted else b""
        return Page(response.status, str(url), headers, body)


class Postponements:
    """Counts how often each item was put off, for as many items as are likely to wait at once."""

    def __init__(self, most: int = WAITS, items: int = 10_000) -> None:
        self._most = most
        self._items = items
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def left(self, context: Context) -> bool:
        """Whether the item may be put off once more; counts it."""
        item = context.idempotency_key, context.position
        with self._lock:
            count = self._counts.pop(item, 0) + 1
            if count > self._most:
                return False
            self._counts[item] = count
            if len(self._counts) > self._items:
                self._counts.popitem(last=False)
        return True


class Hosts:
    """Which hosts asked to be left alone, and until when: their pages wait, those of all others do not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._asked: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Seconds for which this host is not to be asked; 0 when it may be."""
        with self._lock:
            first, until = self._asked.get(_host(address), (0.0, 0.0))
        now = self._clock()
        return max(0.0, until - now) if now - first < LONGEST_SILENCE else 0.0

    def refused(self, address: str, seconds: float) -> None:
        """Notes that the host asked for so long a pause."""
        now, host = self._clock(), _host(address)
        with self._lock:
            first, until = self._asked.pop(host, (now, now))
            self._asked[host] = first, max(until, now + seconds)
            if len(self._asked) > self._most:
                self._asked.popitem(last=False)

    def answered(self, address: str) -> None:
        """Notes that the host gave a page."""
        if self._asked:
            with self._lock:
                self._asked.pop(_host(address), None)


class FetchUrl(Processor):
    """One web page for one address: its status, where it ended, its title, size and time."""

    name = "fetch-url"
    label = "Fetch a web page"
    summary = "Fetches each address and notes status, final address, title, size and time."
    inputs = (Input("url", label="Address", help="A web address that starts with http:// or https://."),)
    parameters = (
        Parameter(
            "time_limit",
            type=float,
            default=20.0,
            minimum=0.1,
            maximum=300,
            help="Seconds for one page with all its redirects.",
        ),
    )
    policy = Policy(
        workers=10,
        attempts=3,
        timeout=30.0,
        retry_on=(
            *("connection failed", "timed out", "timeout", "name lookup failed"),
            *("http 429", "http 500", "http 502", "http 503", "http 504"),
        ),
    )

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._postponed = Postponements()
        self._hosts = Hosts(clock)

    def open(self, parameters: Mapping[str, Any]) -> Fetcher:
        return Fetcher(Guard(private=allowed("FETCH_ALLOW_PRIVATE"), ports=_ports()), parameters["time_limit"])

    def close(self, client: Fetcher) -> None:
        client.close()

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        if wait := self._hosts.wait(inputs["url"]):
            raise RetryLater(wait, alone=True)
        start = self._clock()
        page = context.client.get(inputs["url"])
        if page.status >= 400:
            raise self._refusal(page, context)
        self._hosts.answered(page.url)
        if len(page.body) >= SIZE:
            context.logger.info("Only the first %d bytes were read.", SIZE)
        return {
            "status": page.status,
            "final_url": page.url,
            "title": pages.title(page.body, page.headers.get("content-type", "")),
            "bytes": len(page.body),
            "seconds": round(self._clock() - start, 3),
        }

    def _refusal(self, page: Page, context: Context) -> Exception:
        wait = wait_of(page.headers, most=LONGEST_WAIT)
        if page.status in (429, 503) and wait is not None and self._postponed.left(context):
            self._hosts.refused(page.url, wait)
            return RetryLater(wait, alone=True)
        return Failed(f"http {page.status}", f"The page answered {page.status} {_phrase(page.status)}".rstrip() + ".")


def _ports() -> frozenset[int]:
    """80 and 443, and those that whoever runs the system allows besides."""
    return PORTS | {int(port) for port in setting("FETCH_ALLOW_PORTS").replace(",", " ").split() if port.isdecimal()}


def _parse(address: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return base.join(address) if base else httpx.URL(address.strip())
    except (httpx.InvalidURL, ValueError):
        raise refused("It is no valid web address.") from None


def _host(address: str) -> str:
    """Who answers there, with the port."""
    try:
        return httpx.URL(address.strip()).netloc.decode()
    except (httpx.InvalidURL, ValueError):
        return ""


def _unreachable(error: httpcore.ConnectError) -> Failed:
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return Failed("bad certificate", "The certificate of the host is not valid.")
    return Failed("connection failed", "The host could not be reached.")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
