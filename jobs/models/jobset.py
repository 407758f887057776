"""Many jobs at once: who may see them, what is to be done with them, and whose turn it is."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Now

from jobs.models import scheduling
from jobs.models.share import Share
from jobs.models.states import UNFINISHED, WORKABLE, JobState
from jobs.models.upload import Upload
from jobs.models.worker import Worker

if TYPE_CHECKING:
    from jobs.models.job import Job

COUNTS: Final = (
    "pending", "retrying", "succeeded", "failed", "rejected", "fallbacks", "attempts", "running", "rerunning",
)  # fmt: skip


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs by who may see them and what is to be done with them."""

    def present(self) -> JobQuerySet:
        """All but those that were deleted and are being removed."""
        return self.filter(deleting=None)

    def visible_to(self, user: Any) -> JobQuerySet:
        """The jobs that this person may see: their own, those that are shared with them, and all for staff."""
        return self.present() if user.is_staff else self.of_person(user.pk)

    def of_person(self, person: int) -> JobQuerySet:
        """The jobs of this person, and those that are shared with them."""
        return self.present().filter(Q(owner=person) | Q(pk__in=Share.objects.filter(person=person).values("job")))

    def unfinished_of(self, owner: Any) -> JobQuerySet:
        """The person's jobs that are read, wait, run or are paused."""
        return self.present().filter(owner=owner, state__in=(JobState.LOADING, *UNFINISHED))

    def workable(self) -> JobQuerySet:
        return self.filter(state__in=WORKABLE)

    def of_same_content(self, upload: Upload, owner: Any) -> JobQuerySet:
        """The person's own jobs of files that hold the same bytes, newest first."""
        same = self.present().filter(owner=owner, upload__sha256=upload.sha256)
        return same.order_by("-created", "-pk")

    def with_counts(self) -> JobQuerySet:
        """Each job with the sums of its shards as `sum_<count>`: one query for a whole page."""
        return self.annotate(**{f"sum_{name}": Sum(f"shards__{name}", default=0) for name in COUNTS})

    def in_turn(self, leaving: int | None = None) -> list[Job]:
        """Those that one more worker could work on now, whose turn it is first; see `scheduling.in_turn`."""
        return scheduling.in_turn(self, leaving)

    def reading(self) -> JobQuerySet:
        """Jobs whose file somebody reads now.

        A reader may be silent for long over a few rows, while its worker is not.
        """
        silent = Worker.objects.silent(timedelta(seconds=settings.JOBS_LEASE_SECONDS))
        held = self.filter(state=JobState.LOADING, load_expires__gt=Now())
        return held.exclude(load_worker__in=silent.values("name"))

    def unread(self) -> list[Job]:
        """Jobs whose file somebody could read now, whose turn it is first: of whom the fewest files are read."""
        reading = self.model.objects.reading()
        held = Counter(reading.values_list("owner", flat=True))
        most = Worker.objects.of("load").for_one()
        found = self.present().filter(state=JobState.LOADING).exclude(pk__in=reading.values("pk"))
        jobs = [job for job in found.order_by("created", "pk") if held[job.owner_id] < most]
        return sorted(jobs, key=lambda job: held[job.owner_id])
