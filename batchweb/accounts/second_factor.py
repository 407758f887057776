"""Who must have a second factor, and who has one."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings

REAL = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)  # recovery codes alone are none


def required(person: Any) -> bool:
    """Whether the setting asks for a second factor of this person. Asks nothing of the database."""
    whom = settings.REQUIRE_SECOND_FACTOR
    return bool(person.is_authenticated and (whom == "everybody" or (whom == "staff" and person.is_staff)))


def missing(person: Any) -> bool:
    """Whether this person must have a second factor and has none: then there is nothing else for them to do."""
    return required(person) and not Authenticator.objects.filter(user_id=person.pk, type__in=REAL).exists()
