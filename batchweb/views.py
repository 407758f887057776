"""What belongs to no job: the health answer, the one-time sign-in, the first password."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import auth, messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from batchweb import readiness


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive. Says nothing about the database or the workers, so that a slow one does not restart the web server."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether jobs would be worked on now, part by part; for a monitor or a load balancer."""
    parts = readiness.parts()
    ready = all(parts.values())
    said = {name: "ok" if well else "failed" for name, well in parts.items()}
    return JsonResponse({"ready": ready, "parts": said}, status=200 if ready else 503)


@login_not_required
@never_cache
@require_safe
def enter(request: HttpRequest) -> HttpResponse:
    """Signs in by the link that `manage.py up` prints. The link works once and for ten minutes."""
    user = auth.authenticate(request, sesame=request.GET.get("sesame", ""))
    if user is not None:
        auth.login(request, user)
    elif not request.user.is_authenticated:
        messages.error(
            request, "This sign-in link has been used or is too old. Sign in below, or start batchweb again."
        )
        return redirect("login")
    return redirect("jobs:list")


class ChangePassword(PasswordChangeView):
    """Asks for the old password of those who have one; who came in by a link sets the first."""

    def get_form_class(self) -> Any:
        user = cast(User, self.request.user)
        return PasswordChangeForm if user.has_usable_password() else SetPasswordForm
