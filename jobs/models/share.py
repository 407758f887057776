from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Share(models.Model):
    """A person beside its owner who may look at a job, or act on it, too."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="shares")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shares")
    may_act = models.BooleanField(default=False, help_text="May do with it what its owner may, but not give it away.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "person"], name="share_of_person_in_job")]

    def __str__(self) -> str:
        return f"{self.person} may {'act' if self.may_act else 'look'}"
