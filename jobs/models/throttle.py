from __future__ import annotations

from django.db import models


class Throttle(models.Model):
    """How often something was tried of late, and until when it may not be tried again.

    The key says what and by whom, as digests: what people type into a name may be a password.
    """

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last = models.DateTimeField(db_index=True)
    until = models.DateTimeField(null=True)
    # Whether a refusal was written down already: a flood of them makes one line.
    told = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
