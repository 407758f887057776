"""What allauth asks the project: which ways there are, and how secrets are kept."""

from __future__ import annotations

import base64
import time
from typing import Any, Final

import qrcode
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import salted_hmac
from qrcode.image.svg import SvgPathImage

from batchweb.accounts.addresses import address_of

JUST_NOW: Final = 300.0  # seconds for which a sign-in is as good as being asked again


class Accounts(DefaultAccountAdapter):  # type: ignore[misc]
    """People are made by administrators; allauth only carries the steps of signing in."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """It would count guesses in a cache of each process; the backend counts them in the database."""

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        messages.error(request, "This account is closed. Ask your administrator.")
        return redirect("login")

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Who has neither password nor second factor, and came by a link or a company's sign-in, has just come."""
        request = context.request
        if get_reauthentication_flows(request.user):
            return True
        return bool(time.time() - request.session.get("began", 0) > JUST_NOW)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        return methods or [{"id": "again", "description": "Sign in again", "url": reverse("login")}]


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of second factors are encrypted at rest, with keys made from SECRET_KEY and its fallbacks."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code is not right. Codes change every 30 seconds; use the newest.",
    }

    def get_totp_label(self, user: User) -> str:
        return user.get_username()

    def build_totp_svg(self, url: str) -> str:
        """Without the declaration of an XML file: it stands in the page itself, which loads no pictures from data."""
        picture: str = qrcode.make(url, image_factory=SvgPathImage).to_string(encoding="unicode")
        return picture

    def encrypt(self, text: str) -> str:
        return keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return keys().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: User, type: Any) -> str:
        return "Passkey"

    def _get_site_name(self) -> str:
        return "batchweb"


def keys() -> MultiFernet:
    """The first one encrypts, all of them decrypt."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(key_of(secret)) for secret in secrets])


def key_of(secret: str) -> bytes:
    digest = salted_hmac("batchweb.second-factors", "", secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest)
