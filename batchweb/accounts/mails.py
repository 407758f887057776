"""Mails about accounts. They are sent beside the request, so that an answer takes as long whoever exists."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives

logger = logging.getLogger(__name__)

POST: Final = ThreadPoolExecutor(1, "mail")
_on_their_way: set[Future[None]] = set()


def send(letter: EmailMultiAlternatives) -> None:
    """Sends the letter soon. What goes wrong is logged without the letter."""
    if not settings.CAN_SEND_MAIL:
        return
    sent = POST.submit(deliver, letter)
    _on_their_way.add(sent)
    sent.add_done_callback(_on_their_way.discard)


def deliver(letter: EmailMultiAlternatives) -> None:
    try:
        letter.send()
    except Exception as error:  # whatever the mail server says, nobody waits for it
        logger.error("A mail could not be sent: %s", type(error).__name__)


def delivered(seconds: float = 10.0) -> None:
    """Returns when what is on its way is sent, or when the time is over."""
    wait(list(_on_their_way), seconds)


def tell_of_change(person: User, what: str, address: str) -> None:
    """Tells the person at `address` that this of their account was changed: perhaps it was somebody else."""
    if address:
        text = (
            f"Hello {person.get_username()},\n\nthe {what} of your batchweb account was changed just now.\n\n"
            "If that was not you, tell your administrator at once.\n"
        )
        send(EmailMultiAlternatives(f"batchweb: your {what} changed", text, settings.DEFAULT_FROM_EMAIL, [address]))
