from __future__ import annotations

import hashlib
import re

from django.db import models
from django.utils import timezone

# What differs between two failures of one cause: quoted values, addresses, ids and numbers.
VARIABLE = re.compile(
    r"""https?://\S+ | '[^']*' | "[^"]*" | \b0x[0-9a-fA-F]+\b
        | \b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b | \d+(?:\.\d+)*""",
    re.VERBOSE,
)


def normalised(message: str) -> str:
    """The message without what differs from item to item: `no row 17 in 'a.csv'` becomes `no row … in …`."""
    return VARIABLE.sub("…", message.strip().split("\n", 1)[0])[:300]


def signature(kind: str, message: str) -> str:
    """What failures of one cause have in common, as 32 hexadecimal digits."""
    return hashlib.sha256(f"{kind}\0{normalised(message)}".encode("utf-8", "replace")).hexdigest()[:32]


class Cause(models.Model):
    """A group of failures of one job with the same signature."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="causes")
    signature = models.CharField(max_length=32)
    kind = models.CharField(max_length=100)
    title = models.CharField(max_length=300)
    sample = models.TextField(help_text="The message of the first such failure.")
    count = models.IntegerField(db_default=0, help_text="Items that failed for this cause and were not tried again.")
    first = models.PositiveIntegerField(help_text="Lowest position it was seen at.")
    last = models.PositiveIntegerField(help_text="Highest position it was seen at.")
    since = models.DateTimeField(default=timezone.now)
    top_frame = models.CharField(max_length=200, db_default="", help_text="The innermost frame of the trace.")
    accepted = models.IntegerField(db_default=0, help_text="Of the items, those that somebody accepted as they are.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "signature"], name="cause_signature_in_job")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.title}"
