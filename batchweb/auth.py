"""Who is behind a session, and what a person may do."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth import backends
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest

from batchweb.accounts import hashing, second_factor, throttling
from batchweb.accounts.addresses import network_of


class ModelBackend(backends.ModelBackend):
    """Django's own, but for two things: guesses of passwords are limited, wherever a password is asked for, and what a
    person may do is asked once instead of twice, for the person and for the groups.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        """The person of that name and password. Raises PermissionDenied where it has to wait; the request says why."""
        if username is None or password is None:
            return None
        if not settings.PASSWORD_SIGN_IN:
            raise PermissionDenied
        attempt = throttling.try_to("password", username, request)
        if request is not None:
            request.attempt = attempt  # type: ignore[attr-defined]
        if attempt.until:
            raise PermissionDenied
        hashing.first.set(attempt.known)
        hashing.place.set(network_of(request))
        person = super().authenticate(request, username, password, **kwargs)
        if person is not None:
            attempt.right()
        return person

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if user_obj.is_active and not user_obj.is_superuser and obj is None and not hasattr(user_obj, "_perm_cache"):
            held = Permission.objects.filter(Q(user=user_obj) | Q(group__user=user_obj)).order_by()
            names = held.values_list("content_type__app_label", "codename")
            user_obj._perm_cache = {f"{app}.{name}" for app, name in names}
        return super().get_all_permissions(user_obj, obj)


def person_of(session_key: str | None) -> AbstractBaseUser | AnonymousUser:
    """The person signed in under this session key now: nobody after a sign-out or a change of password, nor while a
    second factor is missing that must be there.

    Asked afresh, since a socket outlives a sign-out, and a body arrives before any view.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    person = auth.get_user(request)
    return AnonymousUser() if second_factor.missing(person) else person
