"""HTTP to Django, websockets to the consumers, both behind the same sign-in."""

import gc
import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")
django = get_asgi_application()

# Models can be imported only once Django is set up.
from django.conf import settings  # noqa: E402

from batchweb.bodies import LimitBodies  # noqa: E402
from jobs import routing, sql  # noqa: E402

# Each request has a thread of its own, which cannot keep a connection for the next one; and to connect takes PostgreSQL
# longer than most pages. So the threads have some in common.
if sql.postgres() and settings.DATABASE_POOL["max_size"]:
    settings.DATABASES["default"]["OPTIONS"]["pool"] = settings.DATABASE_POOL

application = ProtocolTypeRouter(
    {
        "http": LimitBodies(django),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routing.websocket_urlpatterns))),
    }
)

# What is loaded by now stays. Not looked through again for garbage, it leaves a seventh more time for downloads.
gc.collect()
gc.freeze()
