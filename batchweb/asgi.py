"""HTTP to Django, websockets to the consumers, both behind the same sign-in."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")
django = get_asgi_application()

# Models can be imported only once Django is set up.
from django.conf import settings  # noqa: E402

from batchweb import deadlines  # noqa: E402
from batchweb.body_limits import LimitBodies  # noqa: E402
from batchweb.deadlines import HangUps  # noqa: E402
from batchweb.fairness import UNLIMITED, Familiar, LimitRequests, Lines, Sessions, signed_in_from  # noqa: E402
from batchweb.fork import freeze  # noqa: E402
from batchweb.forwarded import Forwarded  # noqa: E402
from batchweb.origins import OwnPages  # noqa: E402
from batchweb.public import Mounted  # noqa: E402
from batchweb.screening import Screen  # noqa: E402
from batchweb.threads import OwnThread  # noqa: E402
from jobs import routing  # noqa: E402
from jobs.store import dialect  # noqa: E402

# Each request has a thread of its own, which cannot keep a connection for the next one; and to connect takes PostgreSQL
# longer than most pages. So the threads have some in common.
# Workers and commands, which may take as long as they need, have settings of their own.
if dialect.postgres():
    options = settings.DATABASES["default"]["OPTIONS"]
    options["options"] = f"{deadlines.of_server()} {options['options']}"
    if settings.DATABASE_POOL["max_size"]:
        options["pool"] = settings.DATABASE_POOL

sessions, familiar = Sessions(), Familiar(signed_in_from)
lines = Lines(sessions, settings.JOBS_REQUESTS_PER_PERSON, familiar=familiar)
# Pages that lost their socket all come back at once, so that any number may wait.
handshakes = Lines(sessions, settings.JOBS_REQUESTS_PER_PERSON, waiting=UNLIMITED, familiar=familiar)
whole = LimitBodies(LimitRequests(django, lines, bodies=True))
sockets = AuthMiddlewareStack(URLRouter(routing.websocket_urlpatterns))
routes = ProtocolTypeRouter(
    {
        "http": LimitRequests(OwnThread(HangUps(whole)), lines, bodies=False),
        "websocket": LimitRequests(sockets, handshakes, bodies=False),
    }
)
application = Mounted(Screen(Forwarded(OwnPages(routes), settings.PROXIES), settings.PATH_PREFIX), settings.PATH_PREFIX)

# What is loaded by now stays. Not looked through again for garbage, it leaves a seventh more time for downloads.
freeze()
