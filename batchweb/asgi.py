"""HTTP to Django, websockets to the consumers, both behind the same sign-in."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")
django = get_asgi_application()

# Models can be imported only once Django is set up.
from batchweb.bodies import LimitBodies  # noqa: E402
from jobs import routing  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": LimitBodies(django),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routing.websocket_urlpatterns))),
    }
)
