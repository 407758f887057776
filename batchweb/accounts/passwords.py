"""Passwords that are long enough and guessed all the same."""

from __future__ import annotations

import re
from typing import Any, Final

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

DIFFERENT: Final = 5  # characters that a password has at least
AROUND: Final = re.compile(r"[\W\d_]++")  # what people put before, behind and between words
OWN: Final = "batchweb"


class NotGuessable(CommonPasswordValidator):
    """Refuses few characters over and over, this product's name, and common passwords with digits around them."""

    def validate(self, password: str, user: Any = None) -> None:
        lowered = password.lower()
        words = set(AROUND.split(lowered)) - {""}
        if len(set(lowered)) < DIFFERENT:
            raise ValidationError("This password repeats few characters. Take more different ones.", code="repeated")
        if len(words) == 1 and (OWN in words or not words.isdisjoint(self.passwords)):
            raise ValidationError("This password is a common one with little around it. Take another.", code="common")

    def get_help_text(self) -> str:
        return "It cannot be one common word with digits or signs around it, or few characters over and over."
