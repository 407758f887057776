"""Secrets as they are stored: encrypted, and of use at the one place that they were stored for.

The keys come from `SECRETS_KEYS`: the first one encrypts, all of them decrypt. Behind them stands one that is derived
from `SECRET_KEY`, which every system has and every backup needs anyway: so nothing has to be set up for an upgrade, and
what was stored before `SECRETS_KEYS` was set stays readable. Who sets it can change `SECRET_KEY` without a loss, once
`manage.py rotate_secrets` has run.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(ValueError):
    """A token that none of the keys decrypts, or that was stored for another place."""


def encrypt(text: str, place: str) -> str:
    """A token that only `decrypt` with the same place makes the text of again, as “job CODE NAME”."""
    # Fernet authenticates all that it encrypts, so the place inside is as good as one beside it.
    return _keys()[0].encrypt(json.dumps([place, text]).encode()).decode()


def decrypt(token: str, place: str) -> str:
    """The text. Raises Unreadable."""
    try:
        stored, text = json.loads(MultiFernet(_keys()).decrypt(token))
    except (InvalidToken, TypeError, ValueError) as error:
        raise Unreadable("No key of this server decrypts it.") from error
    if stored != place:
        raise Unreadable("It was stored for another place.")
    return str(text)


def is_current(token: str) -> bool:
    """Whether the token was encrypted with the first of the keys."""
    try:
        _keys()[0].decrypt(token)
    except (InvalidToken, TypeError):
        return False
    return True


def _keys() -> list[Fernet]:
    return _fernets((*settings.SECRETS_KEYS, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _fernets(keys: tuple[str, ...]) -> list[Fernet]:
    return [Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys]


def _derived(key: str) -> bytes:
    """32 bytes that say nothing of the key, so that the one that signs sessions and the one that encrypts differ."""
    return HKDF(SHA256(), 32, salt=None, info=b"batchweb stored secrets").derive(key.encode())
