"""The record of what happens around signing in and rights: a line in the log and a row for the admin, for each."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from batchweb.accounts import mails, second_factor, throttling
from batchweb.accounts.addresses import address_of
from jobs.models import Quota, SecurityEvent, Session

logger = logging.getLogger("batchweb.security")

Kind = SecurityEvent.Kind
# What anybody can cause as often as they like is counted apart: it must not push out what matters.
NOISE: Final = (Kind.FAILED, Kind.REFUSED, Kind.RESET_ASKED)
CHUNK: Final = 5_000  # rows that the keeper removes at a time
RIGHTS: Final = ("is_active", "is_staff", "is_superuser")
WATCHED: Final = ("password", "email", "username", *RIGHTS)


def note(kind: SecurityEvent.Kind, name: str, text: str = "", *, person: Any = None, request: Any = None) -> None:
    """Writes down what happened to `name`. Neither holds a password or a token."""
    request = request or context.request
    event = SecurityEvent(kind=kind, person=person, name=plain(name)[:150], text=plain(text)[:300])
    event.address, event.by = address_of(request), plain(doer(request, person))[:150]
    event.save()
    tell(kind, event.name, event.address, event.text, event.by)


def tell(kind: str, name: str, address: str, text: str = "", by: str = "") -> None:
    """One line in the log."""
    parts = (("name", name), ("address", address), ("by", by), ("what", text))
    said = " ".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in parts if value)
    level = logging.WARNING if kind in (Kind.FAILED, Kind.REFUSED) else logging.INFO
    logger.log(level, "%s %s", kind.replace(" ", "-"), said)


def plain(text: str) -> str:
    """Without line breaks, control characters and what turns the direction of a line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def doer(request: HttpRequest | None, person: Any) -> str:
    """Who did it, where that is somebody else; a command is told by its lack of a request."""
    user = getattr(request, "user", None)
    if request is None:
        return "a command"
    return user.get_username() if user and user.is_authenticated and user != person else ""


# Coming in and going out


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    session = request.session
    session["began"] = session["seen"] = time.time()
    session["address"], session["agent"] = address_of(request), plain(request.META.get("HTTP_USER_AGENT", ""))[:300]
    note(Kind.SIGNED_IN, user.get_username(), how(session), person=user, request=request)


def how(session: Any) -> str:
    """By what, as far as the session says so."""
    done = [record.get("type", record["method"]) for record in session.get("account_authentication_methods", ())]
    return " + ".join(dict.fromkeys(done)).replace("_", " ")


@receiver(user_login_failed)
def sign_in_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kw: Any) -> None:
    typed = str(credentials.get("username") or "")
    # What is nobody's name may be a password that was typed into the wrong field.
    name = typed if User.objects.filter(username=typed).exists() else "(nobody)"
    attempt = getattr(request, "attempt", None)
    text = "" if "username" in credentials else "one-time link"
    if attempt is None or (attempt.until and not attempt.news):
        tell(Kind.REFUSED, plain(name), address_of(request), text)
    else:
        note(Kind.REFUSED if attempt.until else Kind.FAILED, name, text, request=request)


@receiver(authentication_failed)
def code_failed(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    note(Kind.FAILED, user.get_username(), "code of the second factor", person=user, request=request)


@receiver(user_logged_out)
def signed_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user:
        note(Kind.SIGNED_OUT, user.get_username(), person=user, request=request)


# Changes of people


@receiver(pre_save, sender=User)
def before_change(instance: User, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
    """Remembers what was, where something may change that matters."""
    fields = [name for name in WATCHED if update_fields is None or name in update_fields]
    found = User.objects.filter(pk=instance.pk).values(*fields).first() if fields and instance.pk else None
    instance.before = found or {}  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def person_changed(instance: User, created: bool, **kwargs: Any) -> None:
    name = instance.get_username()
    if created:
        powers = [field for field in RIGHTS[1:] if getattr(instance, field)]
        note(Kind.PERSON, name, f"added {', '.join(powers)}".rstrip(), person=instance)
        return
    changed = {field for field, was in instance.before.items() if getattr(instance, field) != was}  # type: ignore[attr-defined]
    for field in sorted(changed & {*RIGHTS, "username"}):
        was, now = instance.before[field], getattr(instance, field)  # type: ignore[attr-defined]
        note(Kind.RIGHTS, name, f"{field}: {was} → {now}", person=instance)
    if "email" in changed:
        note(Kind.EMAIL, name, "changed", person=instance)
        mails.tell_of_change(instance, "e-mail address", instance.before["email"])  # type: ignore[attr-defined]
    if "password" in changed:
        password_changed(instance)


def password_changed(person: User) -> None:
    """Ends what was opened with the old one, but for the session that changed it, and tells the person."""
    note(Kind.PASSWORD, person.get_username(), "changed", person=person)
    throttling.forgive(person.get_username())
    session = getattr(context.request, "session", None)
    end_sessions(person, but=session.session_key if session else None)
    mails.tell_of_change(person, "password", person.email)


def end_sessions(person: User, but: str | None = None) -> int:
    """Ends the person's sessions, all but one. Returns how many; their pages hear of it at once."""
    return len([row.delete() for row in Session.objects.filter(person=person).exclude(session_key=but or "")])


@receiver(post_delete, sender=User)
def person_removed(instance: User, **kwargs: Any) -> None:
    note(Kind.PERSON, instance.get_username(), "removed")


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
def rights_changed(sender: Any, instance: Any, action: str, model: Any, pk_set: set[int] | None, **kw: Any) -> None:
    if not action.startswith("post_") or (action != "post_clear" and not pk_set):
        return
    done = {"post_add": "got", "post_remove": "lost", "post_clear": "lost all"}[action]
    what = ", ".join(str(one) for one in model._default_manager.filter(pk__in=pk_set or ()))
    note(
        Kind.RIGHTS, str(instance), f"{done} {model._meta.verbose_name_plural} {what}",
        person=instance if isinstance(instance, User) else None,
    )  # fmt: skip


@receiver(post_save, sender=Quota)
@receiver(post_delete, sender=Quota)
def quota_changed(instance: Quota, **kwargs: Any) -> None:
    said = f"MB {instance.stored_mb}, jobs {instance.running_jobs}" if "created" in kwargs else "as everybody's"
    note(Kind.QUOTA, str(instance.person), said, person=instance.person if "created" in kwargs else None)


@receiver(post_save, sender=Authenticator)
def factor_added(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    if created:
        factor_changed(instance, "added")


@receiver(post_delete, sender=Authenticator)
def factor_removed(instance: Authenticator, **kwargs: Any) -> None:
    factor_changed(instance, "removed")


def factor_changed(factor: Authenticator, done: str) -> None:
    person = User.objects.filter(pk=factor.user_id).first()
    if person:
        note(Kind.SECOND_FACTOR, person.get_username(), f"{factor.get_type_display()} {done}", person=person)
        if factor.type in second_factor.REAL:
            if done == "added":
                # Elsewhere nobody was asked for it.
                end_sessions(person, context.request and context.request.session.session_key)
            mails.tell_of_change(person, "second factors", person.email)


@receiver(post_save, sender=SocialAccount)
@receiver(post_delete, sender=SocialAccount)
def account_linked(instance: SocialAccount, **kwargs: Any) -> None:
    if kwargs.get("created", True):
        done = "linked to" if "created" in kwargs else "no longer linked to"
        note(Kind.PROVIDER, str(User.objects.filter(pk=instance.user_id).first() or ""), f"{done} {instance.uid}")


# How long it is kept


def forget() -> None:
    """The keeper's part: what is too old goes, and what is too much, the oldest first."""
    old = timezone.now() - timedelta(days=settings.SECURITY_EVENT_DAYS)
    remove(SecurityEvent.objects.filter(at__lt=old))
    for kinds in (SecurityEvent.objects.filter(kind__in=NOISE), SecurityEvent.objects.exclude(kind__in=NOISE)):
        most = kinds.order_by("-pk")[settings.SECURITY_EVENTS // 2 :][:1].values_list("pk", flat=True)
        remove(kinds.filter(pk__lte=max(most, default=0)))
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    throttling.forget()


def remove(events: Any) -> None:
    with transaction.atomic():
        SecurityEvent.objects.filter(pk__in=list(events.order_by("pk").values_list("pk", flat=True)[:CHUNK])).delete()
