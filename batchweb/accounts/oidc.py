"""A company's own sign-in, by OpenID Connect: the code flow with PKCE, state and nonce.

People are told apart by the subject that the provider gives them, never by an address that nobody verified.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, Final, NoReturn

import jwt
from allauth.account.utils import get_next_redirect_url
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from requests import RequestException

from batchweb.accounts import events, throttling
from jobs.models import SecurityEvent

COMPANY: Final = "company"
# Those that need a pair of keys: with the others a public key could pass for a secret.
ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
UNREACHABLE: Final = "Your company's sign-in does not answer as it should. Try again, or ask your administrator."
NO_ACCOUNT: Final = "You have no account here. Ask your administrator for one."
NOT_ALLOWED: Final = "Your account may not sign in here. Ask your administrator."


class Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Gets the tokens and reads them. The signature is checked even where they came straight from the provider."""

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        if not kwargs["response"].get("id_token"):
            raise OAuth2Error("There is no id_token.")
        login = super().complete_login(request, app, token, **kwargs)
        data = login.account.extra_data
        if data["userinfo"].get("sub") != data["id_token"]["sub"]:
            raise OAuth2Error("The user info is somebody else's.")
        return login

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        """The claims of a token that the provider signed for us and nobody else. Raises OAuth2Error."""
        issuer = self.openid_config["issuer"]
        if issuer.rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error("The provider calls itself by another name.")
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token, self.key_of(id_token), algorithms=ALGORITHMS, audience=app.client_id, issuer=issuer,
                leeway=60, options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise OAuth2Error(str(error)) from error
        if claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("The token is for somebody else.")
        return claims

    def key_of(self, id_token: str) -> Any:
        """The key of the provider that the token names; where it names none, the only one there is.

        Raises OAuth2Error.
        """
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        keys = [key for key in jwt.PyJWKSet.from_dict(answer.json()).keys if key.public_key_use in (None, "sig")]
        named = jwt.get_unverified_header(id_token).get("kid")
        found = [key for key in keys if named is None or key.key_id == named]
        if len(found) != 1:
            raise OAuth2Error("The token names no key of the provider.")
        return found[0]


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    """Sends people there: always to sign in, with a nonce, and with nothing that the address adds."""

    oauth2_adapter_class = Exchange

    def redirect_from_request(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(24)
        answer: HttpResponse = self.redirect(
            request, AuthProcess.LOGIN, get_next_redirect_url(request), nonce=nonce, auth_params={"nonce": nonce}
        )
        return answer


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes in by it."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        return Provider(request, app=self.get_app(request, provider, client_id))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def on_authentication_error(self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any) -> NoReturn:
        if kwargs.get("error") == AuthError.CANCELLED:
            refuse(request, "", "The sign-in was cancelled.")
        refuse(request, type(kwargs.get("exception")).__name__, UNREACHABLE)

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Raises ImmediateHttpResponse where this person does not come in."""
        data = sociallogin.account.extra_data
        claims = data["userinfo"] | data["id_token"]
        expected, got = sociallogin.state.get("nonce") or "", claims.get("nonce") or ""
        if not (expected and constant_time_compare(expected, got)):
            refuse(request, "nonce", UNREACHABLE)
        if not allowed(claims):
            refuse(request, "domain or group", NOT_ALLOWED)
        if not sociallogin.is_existing:
            person = linked(claims) or created(claims)
            if person is None:
                refuse(request, "no account", NO_ACCOUNT)
            sociallogin.connect(request, person)
        set_staff(sociallogin.user, claims)


def refuse(request: HttpRequest, why: str, sentence: str) -> NoReturn:
    events.note(SecurityEvent.Kind.REFUSED, "", f"company sign-in: {why}", request=request)
    messages.error(request, sentence)
    raise ImmediateHttpResponse(redirect("login"))


def allowed(claims: dict[str, Any]) -> bool:
    """Whether the domain and the groups of this person are among those of the settings."""
    domain = verified_email(claims).rpartition("@")[2]
    in_domain = not settings.OIDC_DOMAINS or domain in map(str.lower, settings.OIDC_DOMAINS)
    return in_domain and (not settings.OIDC_GROUPS or bool(groups(claims) & set(settings.OIDC_GROUPS)))


def verified_email(claims: dict[str, Any]) -> str:
    """The e-mail address, if the provider says that it is verified."""
    return str(claims.get("email", "")).lower() if claims.get("email_verified") is True else ""


def groups(claims: dict[str, Any]) -> set[str]:
    found = claims.get("groups", [])
    return {str(group) for group in found} if isinstance(found, list) else set()


def linked(claims: dict[str, Any]) -> User | None:
    """The person of that verified address, where the settings believe it and there is exactly one."""
    address = verified_email(claims)
    if not (settings.OIDC_LINK_BY_EMAIL and address):
        return None
    found = list(User.objects.filter(email__iexact=address)[:2])
    return found[0] if len(found) == 1 and found[0].is_active else None


def created(claims: dict[str, Any]) -> User | None:
    """A new person, where the settings allow it; never somebody who is here already."""
    if not settings.OIDC_CREATE:
        return None
    address = verified_email(claims)
    wanted = str(claims.get("preferred_username") or address or claims["sub"]).partition("@")[0]
    stem = re.sub(r"[^\w.+-]", "-", wanted)[:100] or "person"
    return User.objects.create_user(free_name(stem), address)


def free_name(stem: str) -> str:
    """`stem`, or with the first number behind it that makes it nobody else's."""
    taken = set(User.objects.filter(username__istartswith=stem).values_list("username", flat=True))
    lowered = {name.lower() for name in taken}
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name.lower() not in lowered)


def set_staff(person: User, claims: dict[str, Any]) -> None:
    """Where the settings name groups of staff, the provider decides who is staff; superusers stay."""
    staff = bool(groups(claims) & set(settings.OIDC_STAFF_GROUPS))
    if settings.OIDC_STAFF_GROUPS and not person.is_superuser and person.is_staff != staff:
        person.is_staff = staff
        person.save(update_fields=["is_staff"])


@login_not_required
@never_cache
@require_safe
def login(request: HttpRequest) -> HttpResponse:
    """Leads to the provider."""
    if not settings.OIDC_ISSUER:
        raise Http404
    attempt = throttling.try_from("company", request, throttling.STEPS)
    if attempt.until:
        messages.error(request, attempt.sentence)
        return redirect("login")
    try:
        return get_adapter().get_provider(request, COMPANY).redirect_from_request(request)  # type: ignore[no-any-return]
    except (RequestException, ValueError, KeyError) as error:
        return refused(request, error)


@login_not_required
@never_cache
@require_safe
def callback(request: HttpRequest, provider_id: str = COMPANY) -> HttpResponse:
    """Takes who comes back from there."""
    if not settings.OIDC_ISSUER:
        raise Http404
    try:
        return OAuth2CallbackView.adapter_view(Exchange(request, COMPANY))(request)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        return refused(request, error)


def refused(request: HttpRequest, error: Exception) -> HttpResponse:
    try:
        refuse(request, type(error).__name__, UNREACHABLE)
    except ImmediateHttpResponse as answer:
        return answer.response  # type: ignore[no-any-return]
