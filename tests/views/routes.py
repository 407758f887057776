"""Every address there is, whoever adds it: pages, the admin's, those of other packages, and sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.admindocs.views import extract_views_from_urlpatterns, simplify_regex
from django.urls import get_resolver

from batchweb.asgi import application
from tests.system import ROOT

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_ASKED = re.compile(r"""(?:GET|POST|query|sent|data|asked)(?:\.get|\.getlist|)[(\[]["'](\w+)["']""")


def routes() -> list[str]:
    """As `/jobs/<code>/items/<row>/`."""
    found = extract_views_from_urlpatterns(get_resolver().url_patterns)
    return sorted({_PARAMETER.sub(r"<\1>", simplify_regex(str(regex))) for _, regex, _, _ in found})


def sockets() -> list[str]:
    """The same of websockets."""
    return sorted({"/" + re.sub(r"<\w+:", "<", str(one.pattern)) for one in patterns(application)})


def patterns(app: Any) -> Iterator[Any]:
    """The patterns of the first router that is wrapped in the application for sockets."""
    while not hasattr(app, "routes"):
        app = app.application_mapping["websocket"] if hasattr(app, "application_mapping") else inner(app)
    yield from app.routes


def inner(app: Any) -> Any:
    """What an application passes requests on to, whatever it calls that."""
    held = (getattr(app, name, None) for name in ("inner", "application", "app"))
    return next(filter(None, held))


def filled(route: str, **values: str) -> str:
    """The route with these values, and with `other` for the rest."""
    return _PARAMETER.sub(lambda found: values.get(found[1], values.get("other", "1")), route)


def asked_names() -> list[str]:
    """The names of what addresses and forms may hold, as the source reads them."""
    sources = [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "batchweb").rglob("*.py")]
    found = {name for source in sources for name in _ASKED.findall(source.read_text())}
    return sorted(found | {"o", "p", "e", "next", "_changelist_filters", "_selected_action", "action", "state__exact"})
