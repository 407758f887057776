"""Requests at a time of one person and of one address: who asks for much waits for themselves, not others for them.

A request counts from when it has arrived whole until its answer begins, also when the client has hung up meanwhile: its
view works on in a thread. What waits for its turn has cost next to nothing yet, and whoever hangs up in line costs no
more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from django.db import DatabaseError, connections

from batchweb.accounts import throttling
from batchweb.auth import person_of
from batchweb.body_limits import session_of
from batchweb.concurrency import Lately
from batchweb.protocols import network

logger = logging.getLogger(__name__)

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
# Requests at a time. Each may compute, and the thread that serves all connections has one turn in as many for itself.
OF_ADDRESS: Final = 8
OF_STRANGERS: Final = 12  # of all addresses together from which nobody signed in of late
UNLIMITED: Final = 1_000_000
WAITING: Final = 200  # requests of one person or address in line: a browser that starts again opens all its tabs
HELD: Final = 0.25  # seconds: else whoever hangs up at once could begin any number of requests
REFUSED_AFTER: Final = 1.0  # seconds: else whoever is refused would ask anew at once, and be refused again
LOOKING: Final = 2  # threads that look up who is behind a session
# Seconds for which the person behind a session is remembered. Whose line a request waits in gives no right to anything.
REMEMBERED: Final = 3600.0
FIRST: Final = 1.0  # seconds for which one waits for these where none are known yet
RENEWED: Final = 60.0  # seconds after which the familiar addresses are read anew
MOST: Final = 10_000  # sessions, and addresses, that are remembered
BUSY: Final = b"Too many of your requests wait for an answer. Try again in a moment.\n"
BEGINNINGS: Final = ("http.request", "websocket.connect")
ANSWERS: Final = ("http.response.start", "websocket.accept", "websocket.close")
# Threads of its own: those of the requests may all be taken.
_lookers = ThreadPoolExecutor(LOOKING, "lookers")


class Busy(Exception):
    """The line is full."""


class Places:
    """Who has a place and who waits for one, under each key in the order of asking."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken: Counter[str] = Counter()
        self.line: dict[str, deque[asyncio.Future[None]]] = {}

    async def wait(self, key: str) -> None:
        """Returns once a place was given."""
        self.line.setdefault(key, deque()).append(mine := asyncio.get_running_loop().create_future())
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self.leave(key)  # it was given a place in the moment in which it gave up
            raise
        finally:
            self.forget(key)

    def leave(self, key: str) -> None:
        """Gives the place to whoever is next."""
        raise NotImplementedError

    def forget(self, key: str) -> None:
        """Keeps nothing of those who are gone."""
        if line := self.line.get(key):
            self.line[key] = deque(waiting for waiting in line if not waiting.done())
        if not self.line.get(key):
            self.line.pop(key, None)
        if not self.taken[key]:
            del self.taken[key]


class Line(Places):
    """Places at a time for each key, given in the order of asking."""

    def __init__(self, places: int, waiting: int = WAITING) -> None:
        super().__init__(places)
        self.waiting = waiting

    async def enter(self, key: str) -> None:
        """Returns once there is a place. Raises Busy where too many wait already."""
        if self.taken[key] < self.places:
            self.taken[key] += 1
            return
        if len(self.line.get(key, ())) >= self.waiting:
            raise Busy
        await self.wait(key)

    def leave(self, key: str) -> None:
        """Gives the place to whoever waits longest."""
        line = self.line.get(key, deque())
        while line:
            following = line.popleft()
            if not following.done():
                following.set_result(None)
                return
        self.taken[key] -= 1
        self.forget(key)


class Pool(Places):
    """Places that all keys share: a free one is for whose key has the fewest, then for whose had least of late."""

    def __init__(self, places: int, lately: Lately | None = None) -> None:
        super().__init__(places)
        self.lately = lately or Lately()

    async def enter(self, key: str) -> None:
        """Returns once there is a place."""
        if self.taken.total() < self.places:
            self._give(key)
            return
        await self.wait(key)

    def leave(self, key: str) -> None:
        """Gives the place to whoever is next."""
        self.taken[key] -= 1
        self.forget(key)
        while self.line and self.taken.total() < self.places:
            following = min(self.line, key=lambda one: (self.taken[one], self.lately.of(one)))
            waiting = self.line[following].popleft()
            self.forget(following)
            if not waiting.done():
                self._give(following)
                waiting.set_result(None)

    def _give(self, key: str) -> None:
        self.taken[key] += 1
        self.lately.add(key)


class Sessions:
    """Who is behind the key of a session. It is looked up once, and remembered for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def remembered(self, key: str) -> str:
        """The person, if that was asked of late; empty where nobody knows."""
        person, until = self.known.get(key, ("", 0.0))
        return person if self.clock() < until else ""

    async def person(self, key: str) -> str:
        """The person who is signed in under this key; empty for nobody."""
        person = await looked_up(person_behind, key)
        if person:
            self.known[key] = person, self.clock() + REMEMBERED
            self.known.move_to_end(key)
            while len(self.known) > MOST:
                self.known.popitem(last=False)
        return person


class Familiar:
    """The addresses from which somebody signed in of late, read once in a while."""

    def __init__(self, read: Callable[[], set[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self.read = read
        self.clock = clock
        self.addresses: set[str] = set()
        self.until = 0.0
        self.reading: asyncio.Task[None] | None = None

    async def has(self, address: str) -> bool:
        """What is known of it, while newer knowledge is on its way."""
        if self.clock() >= self.until and self.reading is None:
            self.reading = asyncio.create_task(self.renew())
        if self.reading and not self.until:
            with suppress(TimeoutError):  # a database that is away keeps nobody from hearing of it
                async with asyncio.timeout(FIRST):
                    await asyncio.shield(self.reading)
        return address in self.addresses

    async def renew(self) -> None:
        try:
            self.addresses = await looked_up(self.read)
        except DatabaseError:
            logger.warning("Where people signed in of late cannot be read; what was known before counts")
        finally:
            self.until, self.reading = self.clock() + RENEWED, None


async def looked_up(does: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(_lookers, does, *arguments)


def signed_in_from() -> set[str]:
    """The addresses from which people signed in of late. Raises DatabaseError."""
    try:
        return {network(address) for address in throttling.known_addresses(MOST)}
    finally:
        connections.close_all()


def person_behind(key: str) -> str:
    """The primary key of whoever is signed in under this key of a session, as text; empty for nobody."""
    try:
        person = person_of(key)
        return str(person.pk) if person.is_authenticated else ""
    except DatabaseError:
        return ""
    finally:
        connections.close_all()


class Lines:
    """Where requests wait: each person, each address of nobody in particular, and all of these that are not familiar.

    So whoever signs in more than once gains nothing by it, and nothing by a session that is made up or by many
    addresses; people do not wait for strangers, be they behind the same address, and a stranger does not wait for those
    of another one.
    """

    def __init__(
        self, sessions: Sessions, of_person: int = 0, of_address: int = OF_ADDRESS, of_strangers: int = OF_STRANGERS,
        waiting: int = WAITING, held: float = HELD, refused_after: float = REFUSED_AFTER,
        familiar: Familiar | None = None,
    ) -> None:  # fmt: skip
        """`of_person`: 0 for no limit. `held`: seconds for which who hung up before the answer has its place."""
        self.held = held
        self.refused_after = refused_after
        self.sessions = sessions
        self.people = Line(of_person or UNLIMITED, waiting)
        self.addresses = Line(of_address, waiting)
        self.strangers = Pool(of_strangers)  # as many wait as may be connected
        self.familiar = familiar or Familiar(signed_in_from)

    async def begin(self, turn: Turn) -> None:
        """Returns when it is the request's turn. Raises Busy."""
        key, place = session_of(turn.scope), address(turn.scope)
        person = self.sessions.remembered(key)
        if not person:
            await turn.enter(self.addresses, place)
            if place and not await self.familiar.has(place):
                await turn.enter(self.strangers, place)
            person = await self.sessions.person(key) if key else ""
        if person:
            turn.end()  # the places of the address, if there are any: they are for those whom nobody knows
            await turn.enter(self.people, person)


class LimitRequests:
    """Lets each person have a few requests in work, and each address a few of nobody in particular.

    It stands twice on the way of a request: where nothing is done for it yet, for those without a body and for
    handshakes of websockets, and behind the limits of bodies for the others, which have to arrive before their turn.
    """

    def __init__(self, app: App, lines: Lines, bodies: bool) -> None:
        self.app = app
        self.lines = lines
        self.bodies = bodies

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if has_body(scope) != self.bodies:
            await self.app(scope, receive, send)
            return
        turn = Turn(self.lines, scope, receive, send)
        try:
            if self.bodies or await turn.come():
                await self.app(scope, turn.receive, turn.send)
        finally:
            turn.end(self.lines.held)


def has_body(scope: Scope) -> bool:
    """Whether the request says that something follows its headers."""
    if scope["type"] == "websocket":
        return False
    told = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
    return told.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in told


class Turn:
    """The places of one request."""

    def __init__(self, lines: Lines, scope: Scope, receive: Any, send: Any) -> None:
        self.lines = lines
        self.scope = scope
        self.held: list[tuple[Line | Pool, str]] = []
        self.source = receive
        self.sink = send
        self.first: Message | None = None
        self.whole = False
        self.refused = False

    async def come(self) -> bool:
        """Waits for the turn of a request without a body; False where its client hung up or it was refused."""
        self.first = await self.receive()
        return self.first["type"] in BEGINNINGS

    async def receive(self) -> Message:
        if self.first:
            first, self.first = self.first, None
            return first
        if self.refused:
            return self.gone()
        message: Message = await self.source()
        if self.whole or message["type"] not in BEGINNINGS or message.get("more_body"):
            return message
        self.whole = True
        try:
            return await self.in_turn(message)
        except Busy:
            return await self.refuse()

    async def in_turn(self, message: Message) -> Message:
        """The message once it is this request's turn, or that the client has hung up before."""
        hung_up = asyncio.ensure_future(self.source())
        begun = asyncio.ensure_future(self.lines.begin(self))
        try:
            # Whoever has hung up by now was in line for long, in this process or in front of it.
            await asyncio.sleep(0)
            await asyncio.wait((begun, hung_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone = hung_up.done()
            for task in (begun, hung_up):
                task.cancel()
        with suppress(asyncio.CancelledError):
            await begun
            if not gone:
                return message
        self.end()
        return self.gone()

    def gone(self) -> Message:
        """That the client has hung up."""
        return {"type": f"{self.scope['type']}.disconnect"} | ({} if self.scope["type"] == "http" else {"code": 1006})

    async def enter(self, line: Line | Pool, key: str) -> None:
        if key:
            await line.enter(key)
            self.held.append((line, key))

    def end(self, after: float = 0.0) -> None:
        """Gives back its places, those of a request without an answer `after` so many seconds."""
        while self.held:
            line, key = self.held.pop()
            if after:
                asyncio.get_running_loop().call_later(after, line.leave, key)
            else:
                line.leave(key)

    async def refuse(self) -> Message:
        self.refused = True
        self.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.lines.refused_after):
                message: Message = await self.source()
                return message  # the client has hung up
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"2")]
        if self.scope["type"] == "websocket":
            await self.sink({"type": "websocket.close"})
            return self.gone()
        await self.sink({"type": "http.response.start", "status": 429, "headers": headers})
        await self.sink({"type": "http.response.body", "body": BUSY})
        return self.gone()

    async def send(self, message: Message) -> None:
        if message["type"] in ANSWERS:
            self.end()
        if not self.refused:
            await self.sink(message)


def address(scope: Scope) -> str:
    return network(scope["client"][0]) if scope.get("client") else ""
