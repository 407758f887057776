"""Who is behind a session, asked afresh: a socket outlives a sign-out, and a body arrives before any view."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest


def person_of(session_key: str | None) -> AbstractBaseUser | AnonymousUser:
    """The person signed in under this session key now: nobody after a sign-out or a change of password."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    return auth.get_user(request)
