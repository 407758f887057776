"""Forms that ask for a password or a code, with their limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from allauth.account.forms import ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as CodeAgainForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, PasswordResetForm
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.template import loader
from fido2.utils import websafe_decode
from fido2.webauthn import CollectedClientData

from batchweb.accounts import events, mails, throttling
from batchweb.accounts.addresses import address_of
from batchweb.origins import is_own_page, link_origin
from jobs.models import SecurityEvent

UNKNOWN: Final = "This passkey is not known here."
CREDENTIAL: Final = 100_000  # characters; a key with its attestation has some thousands


class SignIn(AuthenticationForm):
    """A name and a password; says when the next try is, where there were too many."""

    def get_invalid_login_error(self) -> ValidationError:
        attempt = getattr(self.request, "attempt", None)
        if attempt and attempt.until:
            return ValidationError(attempt.sentence, code="wait")
        return super().get_invalid_login_error()


class ChangePassword(PasswordChangeForm):
    """Guesses of the old password are limited like those at the sign-in."""

    def clean_old_password(self) -> str:
        attempt = throttling.try_to("password", self.user.get_username(), context.request)
        if attempt.until:
            raise ValidationError(attempt.sentence, code="wait")
        try:
            password = super().clean_old_password()
        except ValidationError:
            text = "old password at its change"
            events.note(SecurityEvent.Kind.FAILED, self.user.get_username(), text, person=self.user)
            raise
        attempt.right()
        return password


class ResetPassword(PasswordResetForm):
    """Mails a link, so often and no more; what is answered never depends on whether there is an account."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def save(self, *args: Any, **options: Any) -> None:
        if not settings.PASSWORD_SIGN_IN:
            return
        address = self.cleaned_data["email"]
        asked = throttling.try_from("mails", context.request, throttling.MAILS_FROM)
        asked = asked if asked.until else throttling.try_of("mail", address, throttling.MAILS_TO)
        if asked.until:
            events.tell(SecurityEvent.Kind.REFUSED, "", address_of(context.request), "reset of a password")
            return
        events.note(SecurityEvent.Kind.RESET_ASKED, "")
        scheme, _, host = link_origin(context.request).partition("://")
        super().save(*args, **{**options, "domain_override": host, "use_https": scheme == "https"})

    def send_mail(
        self, subject_template_name: str, email_template_name: str, context: Any, from_email: str | None,
        to_email: str, html_email_template_name: str | None = None,
    ) -> None:  # fmt: skip
        subject = " ".join(loader.render_to_string(subject_template_name, context).split())
        body = loader.render_to_string(email_template_name, context)
        mails.send(EmailMultiAlternatives(subject, body, from_email, [to_email]))


class Limited:
    """Limits guesses of codes. They are counted apart from passwords: who guesses here knows the password."""

    user: Any
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        name = self.user.get_username()
        attempt = throttling.try_to("code", name, context.request)
        if attempt.until:
            raise ValidationError(attempt.sentence, code="wait")
        code: str = super().clean_code()  # type: ignore[misc]
        # allauth remembers used codes for one process only.
        if not throttling.once("used", f"{self.user.pk} {code.strip()}", 120):
            raise ValidationError("This code was used already. Wait for the next one.", code="used")
        attempt.right()
        return code


class Code(Limited, AuthenticateForm):  # type: ignore[misc]
    """The code at the sign-in: of the authenticator app, or one of the recovery codes."""


class CodeAgain(Limited, CodeAgainForm):  # type: ignore[misc]
    """The code before a change of second factors."""


class FirstCode(Limited, ActivateTOTPForm):  # type: ignore[misc]
    """The code that shows that the app has the key."""


class Credential(forms.JSONField):
    """What a browser says of a passkey."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > CREDENTIAL:
            raise ValidationError(UNKNOWN, code="invalid")
        try:
            credential = super().to_python(value)
        except (RecursionError, ValueError) as error:  # nested too deep, a number of too many digits
            raise ValidationError(UNKNOWN, code="invalid") from error
        # The library takes every origin over HTTP, and every port and name under ours over HTTPS.
        if credential and not is_own_page(context.request, known(lambda: origin_of(credential))):
            raise ValidationError(UNKNOWN, code="invalid")
        return credential


def origin_of(credential: Any) -> str:
    """Where the page stands that asked for the passkey, as the browser noted it. Raises where it noted nothing."""
    return CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"])).origin


class Known:
    """What the library breaks down over is a passkey that is not known: it takes apart whatever anybody sends."""

    user: Any
    errors: Mapping[str, Any]

    def clean_credential(self) -> Any:
        return known(super().clean_credential)  # type: ignore[misc]

    def clean(self) -> Any:
        if self.user and "credential" in self.errors:
            events.note(SecurityEvent.Kind.FAILED, self.user.get_username(), "passkey", person=self.user)
        return super().clean()  # type: ignore[misc]


def known(check: Callable[[], Any]) -> Any:
    """What it returns. Raises ValidationError, whatever it raises itself."""
    try:
        return check()
    except ValidationError:
        raise
    except Exception as error:
        raise ValidationError(UNKNOWN, code="invalid") from error


class SignInByPasskey(Known, LoginWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class ConfirmByPasskey(Known, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class SecondByPasskey(Known, AuthenticateWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class AddPasskey(AddWebAuthnForm):  # type: ignore[misc]
    credential = Credential()

    def clean(self) -> Any:
        return known(super().clean)


class Reauthenticate(ReauthenticateForm):  # type: ignore[misc]
    """The password before a change of second factors."""

    def clean_password(self) -> str:
        try:
            password: str = super().clean_password()
        except ValidationError as error:
            attempt = getattr(context.request, "attempt", None)
            if attempt and attempt.until:
                raise ValidationError(attempt.sentence, code="wait") from error
            raise
        return password
