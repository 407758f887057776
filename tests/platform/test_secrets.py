"""Secrets as they are stored: bound to a place, readable with any of the keys."""

from __future__ import annotations

import pytest
from django.test import override_settings

from batchweb import secrets
from batchweb.secrets import Unreadable, decrypt, encrypt

OLD, NEW = "an-old-key-of-many-letters-0123456789", "a-new-key-of-many-letters-0123456789"
TEXTS = ["hunter22", "", "ä😀\n\0\\", "x" * 100_000]


@pytest.mark.parametrize("text", TEXTS)
def test_it_reads_what_it_encrypted(text: str) -> None:
    assert decrypt(encrypt(text, "job a token"), "job a token") == text


def test_it_shows_nothing_of_the_text() -> None:
    assert encrypt("hunter22", "here") != encrypt("hunter22", "here")
    assert "hunter22" not in encrypt("hunter22", "here")


def test_it_reads_nothing_at_another_place() -> None:
    with pytest.raises(Unreadable):
        decrypt(encrypt("hunter22", "job a token"), "job b token")


@pytest.mark.parametrize("token", ["", "x", "gAAAAA", "é", "\0", "gAAAAABm" * 10])
def test_it_says_that_it_cannot_read(token: str) -> None:
    with pytest.raises(Unreadable):
        decrypt(token, "here")


def test_it_notices_a_changed_token() -> None:
    token = encrypt("hunter22", "here")
    with pytest.raises(Unreadable):
        decrypt(token[:40] + ("A" if token[40] != "A" else "B") + token[41:], "here")


def test_it_encrypts_with_the_first_key_and_reads_with_any() -> None:
    with override_settings(SECRETS_KEYS=[OLD]):
        old = encrypt("hunter22", "here")
    with override_settings(SECRETS_KEYS=[NEW, OLD]):
        new = encrypt("hunter22", "here")
        assert [decrypt(token, "here") for token in (old, new)] == ["hunter22"] * 2
        assert [secrets.is_current(token) for token in (old, new)] == [False, True]
    with override_settings(SECRETS_KEYS=[NEW]):
        assert decrypt(new, "here") == "hunter22"
        with pytest.raises(Unreadable):
            decrypt(old, "here")


def test_it_reads_what_was_stored_before_there_were_keys_of_their_own() -> None:
    token = encrypt("hunter22", "here")
    with override_settings(SECRETS_KEYS=[NEW]):
        assert decrypt(token, "here") == "hunter22"


def test_it_reads_after_the_signing_key_was_changed_where_there_are_keys_of_their_own() -> None:
    with override_settings(SECRETS_KEYS=[NEW]):
        token = encrypt("hunter22", "here")
    with override_settings(SECRETS_KEYS=[NEW], SECRET_KEY=OLD):
        assert decrypt(token, "here") == "hunter22"


def test_it_does_not_encrypt_with_the_signing_key_itself() -> None:
    with override_settings(SECRETS_KEYS=[], SECRET_KEY=OLD):
        assert OLD.encode() not in secrets._derived(OLD)
