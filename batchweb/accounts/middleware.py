"""What a signed-in person meets on the way to a view: a second factor that is missing, and the clock of the session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, resolve_url

from batchweb.accounts import second_factor
from batchweb.accounts.addresses import address_of

Handler = Callable[[HttpRequest], HttpResponseBase]

SEEN_EVERY: Final = 300.0  # seconds between two notes that a session is in use: each is a write
SENTENCE: Final = "Your account needs a second factor. Set one up to go on."
# Where somebody goes who still has to set one up.
ON_THE_WAY: Final = frozenset({
    "mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "mfa_view_recovery_codes", "account_reauthenticate",
    "password_change", "password_change_done", "login", "account_login", "logout", "enter", "healthz", "readyz",
    "company_login", "openid_connect_callback",
})  # fmt: skip


class SecondFactorFirst:
    """Leads who must have a second factor, and has none, to set it up before anything else."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *args: object) -> HttpResponse | None:
        match = request.resolver_match
        on_the_way = match and not match.namespaces and match.url_name in ON_THE_WAY
        if on_the_way or not second_factor.missing(request.user):
            return None
        if "application/json" in request.headers.get("Accept", ""):
            return JsonResponse({"detail": SENTENCE}, status=403)
        if request.headers.get("HX-Request"):
            return HttpResponse(status=403, headers={"HX-Redirect": resolve_url("mfa_index")})
        messages.warning(request, SENTENCE)
        return redirect("mfa_index")


def in_use(get_response: Handler) -> Handler:
    """Notes now and then that a session is in use, and from where."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        now, session = time.time(), request.session
        if request.user.is_authenticated and now - session.get("seen", now) > SEEN_EVERY:
            session["seen"], session["address"] = now, address_of(request)
        return get_response(request)

    return middleware
