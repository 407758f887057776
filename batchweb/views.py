"""What belongs to no job: whether the system lives and works, and what is said where it does not."""

from __future__ import annotations

import sys

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.csrf import csrf_failure as too_old
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.defaults import bad_request as unreadable
from django.views.defaults import server_error as wrong

from batchweb import addressing, readiness, refusals


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether jobs would be worked on now, part by part; for a monitor or a load balancer."""
    parts = readiness.parts()
    ready = all(parts.values())
    said = {name: "ok" if well else "failed" for name, well in parts.items()}
    return JsonResponse({"ready": ready, "parts": said}, status=200 if ready else 503)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A host name that is none of ours says so; all else is told as ever."""
    if isinstance(exception, DisallowedHost):
        return addressing.refused(request, 400, addressing.of_host(request.META.get("HTTP_HOST", "")))
    return unreadable(request, exception)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose page stands at another address, or one that is too old."""
    if addressing.is_of_address(reason):
        return addressing.refused(request, 403, addressing.of_form(request))
    return too_old(request, reason)


def server_error(request: HttpRequest) -> HttpResponse:
    """What did not come as far as a view is told like all else, where the database is the reason."""
    return refusals.of_error(request, sys.exc_info()[1]) or wrong(request)
