"""Sign-outs and changed rights: the sockets of the person hear of them at once, in every web process.

What they hear is only that there is something to ask; a message that is lost costs the seconds until they ask anyway.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from jobs import events
from jobs.models import Session, Share


@receiver(post_delete, sender=Session)
def session_ended(instance: Session, using: str, **kwargs: Any) -> None:
    """A sign-out, wherever it was pressed, and a session that was replaced."""
    if instance.person_id:
        ask_again(instance.person_id, using)


@receiver(post_save, sender=User)
@receiver(post_delete, sender=User)
def person_changed(instance: User, using: str, **kwargs: Any) -> None:
    """A new password ends the other sessions; who is shut out or no longer staff sees less."""
    signed_in = set(kwargs.get("update_fields") or ()) == {"last_login"}
    if not signed_in and not kwargs.get("created"):
        ask_again(instance.pk, using)


@receiver(post_save, sender=Share)
@receiver(post_delete, sender=Share)
def share_changed(instance: Share, using: str, **kwargs: Any) -> None:
    """Their list has one job more or less, and the page of a job that is no longer shared closes."""
    ask_again(instance.person_id, using)


def ask_again(person: int, using: str) -> None:
    transaction.on_commit(partial(events.tell, events.person_group(person), {"type": "wake.person"}), using)
