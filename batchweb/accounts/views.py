"""Coming in, one's sessions, and one's password."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.internal.flows import login as flows
from allauth.account.models import Login
from allauth.mfa.webauthn.views import LoginWebAuthnView, RemoveWebAuthnView
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from batchweb.accounts import events, forms, throttling
from batchweb.accounts.addresses import address_of
from batchweb.accounts.devices import device
from jobs.models import SecurityEvent, Session


class SignIn(views.LoginView):
    """By a password, and on by the second factor where there is one."""

    authentication_form = forms.SignIn

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ways = {
            "password": settings.PASSWORD_SIGN_IN,
            "company": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
            "resets": settings.PASSWORD_SIGN_IN,
        }
        return super().get_context_data(**kwargs) | {"ways": ways}

    def form_valid(self, form: Any) -> HttpResponse:
        return sign_in(self.request, form.get_user(), "password", self.get_success_url())


def sign_in(request: HttpRequest, user: Any, method: str, url: str) -> HttpResponse:
    """Signs in who showed by `method` who they are, and leads on to `url`; asks for the second factor before."""
    flows.record_authentication(request, user, method)
    answer: HttpResponse = flows.perform_login(request, Login(user=user, redirect_url=url))
    return answer


@login_not_required
@never_cache
@require_safe
def enter(request: HttpRequest) -> HttpResponse:
    """Signs in by the link that `manage.py up` prints. The link works once and for ten minutes."""
    attempt = request.attempt = throttling.try_from("link", request)  # type: ignore[attr-defined]
    user = None if attempt.until else auth.authenticate(request, sesame=request.GET.get("sesame", ""))
    if user is not None:
        attempt.right()
        return sign_in(request, user, "link", reverse("jobs:list"))
    if not request.user.is_authenticated:
        used = "This sign-in link has been used or is too old. Sign in below, or start batchweb again."
        messages.error(request, attempt.sentence if attempt.until else used)
        return redirect("login")
    return redirect("jobs:list")


class ChangePassword(views.PasswordChangeView):
    """Asks for the old password of those who have one; who came in by a link sets the first."""

    def get_form_class(self) -> Any:
        user = cast(User, self.request.user)
        return forms.ChangePassword if user.has_usable_password() else SetPasswordForm


class ResetPassword(views.PasswordResetView):
    """Mails a link; where no mail is sent, the page says who helps."""

    form_class = forms.ResetPassword

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"can_send": settings.CAN_SEND_MAIL and settings.PASSWORD_SIGN_IN}


@never_cache
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """Where one is signed in."""
    own = Session.objects.filter(person=cast(User, request.user), expire_date__gt=timezone.now()).order_by("-seen")
    rows = [
        {
            "handle": row.handle, "device": device(row.agent), "address": row.address, "began": row.began,
            "seen": row.seen, "this": row.session_key == request.session.session_key,
        }
        for row in own
    ]  # fmt: skip
    return render(request, "registration/sessions.html", {"sessions": rows, "others": len(rows) > 1})


@require_POST
def end_session(request: HttpRequest) -> HttpResponse:
    """Ends one of one's sessions, or all but this one."""
    user, handle = cast(User, request.user), request.POST.get("session", "")
    others = Session.objects.filter(person=user).exclude(session_key=request.session.session_key)
    ended = [row for row in others if handle in (row.handle, "others")]
    for row in ended:
        row.delete()
        what = f"{device(row.agent)} at {row.address}"
        events.note(SecurityEvent.Kind.SESSION_ENDED, user.get_username(), what, person=user)
    messages.success(request, "Signed out there." if ended else "That session had ended already.")
    return redirect("sessions")


@method_decorator(login_not_required, name="dispatch")
class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    """By a passkey alone, which is both factors in one."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        attempt = throttling.try_from("passkey", request, throttling.STEPS)
        if attempt.until:
            return JsonResponse({"detail": attempt.sentence}, status=429)
        return super().dispatch(request, *args, **kwargs)  # type: ignore[no-any-return]

    def form_invalid(self, form: Any) -> HttpResponse:
        events.tell(SecurityEvent.Kind.FAILED, "", address_of(self.request), "passkey")
        messages.error(self.request, "This passkey is not known here.")
        return redirect("login")


class RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]
    """Leads back to all the factors."""

    success_url = reverse_lazy("mfa_index")
