"""What belongs to no job: the health answer and the one-time sign-in."""

from __future__ import annotations

from django.contrib import auth, messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive. Says nothing about the database or the workers, so that a slow one does not restart the web server."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
def enter(request: HttpRequest) -> HttpResponse:
    """Signs in by the link that `manage.py up` prints. The link works once and for ten minutes."""
    user = auth.authenticate(request, sesame=request.GET.get("sesame", ""))
    if user is None:
        messages.error(
            request, "This sign-in link has been used or is too old. Sign in below, or start batchweb again."
        )
        return redirect("login")
    auth.login(request, user)
    return redirect("jobs:list")
