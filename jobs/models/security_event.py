from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class SecurityEvent(models.Model):
    """What happened around signing in and rights: who, from where, by whom."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed in"
        FAILED = "failed"
        REFUSED = "refused"
        SIGNED_OUT = "signed out"
        SESSION_ENDED = "session ended"
        PASSWORD = "password"  # noqa: S105
        RESET_ASKED = "reset asked"
        RIGHTS = "rights"
        QUOTA = "quota"
        EMAIL = "e-mail"
        PERSON = "person"
        SECOND_FACTOR = "second factor"
        PROVIDER = "provider"
        TOKEN = "token"  # noqa: S105
        UNLOCKED = "unlocked"

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    # The name is kept beside the person: it stays when the person goes.
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=45, blank=True)
    by = models.CharField(max_length=150, blank=True)
    text = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        # Whether a person is known at an address; the newest of a kind.
        indexes = [
            models.Index(fields=["name", "address", "kind"], name="known_at_address"),
            models.Index(fields=["kind", "id"], name="security_event_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"
