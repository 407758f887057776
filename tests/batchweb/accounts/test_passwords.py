"""Passwords that are long enough and guessed all the same."""

from __future__ import annotations

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError


@pytest.mark.parametrize(
    "guessable",
    [
        "aaaaaaaaaaaa",
        "abababababab",
        "changeme1234",
        "Password-1234!",
        "batchweb-batchweb",
        "2026batchweb2026",
        "1q2w1q2w1q2w",
    ],
)
def test_it_refuses_what_is_guessed(guessable: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(guessable)


@pytest.mark.parametrize(
    "fine", ["blue-kettle-singing-9", "tea-and-biscuits", "ÄpfelUndBirnen", "dragon-monkey-shadow"]
)
def test_it_takes_others(fine: str) -> None:
    validate_password(fine)
