from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db import models

from jobs.models import quota_limits
from jobs.models.activity import Activity
from jobs.models.quota_limits import Allowed, OverQuota
from jobs.models.run import Run
from jobs.models.states import Refused

OWN: Final = "your quota"


class Octets(models.Func):
    """How many bytes a text or JSON takes where it is stored; read from its head where the database can do that."""

    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, function="pg_column_size", **more)

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        if connection.Database.sqlite_version_info >= (3, 43):
            return self.as_sql(compiler, connection, function="octet_length", **more)
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **more)


# Bytes that a job takes with its rows, one of its runs, and a line of its activity.
OF_JOB: Final = models.F("stored") + quota_limits.ROW * models.F("total") + Octets("parameters")
OF_RUN: Final = Octets("parameters") + Octets("positions") + quota_limits.RUN
OF_LINE: Final = Octets("text") + quota_limits.LINE


class Quota(models.Model):
    """How much one person may have here, where it is not what the settings say. Empty: as they say; 0: no limit."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="quota"
    )
    stored_mb = models.PositiveIntegerField(
        "stored MB",
        null=True,
        blank=True,
        help_text="Of files and rows, in millions of bytes. Empty: JOBS_MAX_STORED_MB.",
    )
    running_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs that have not ended. Empty: JOBS_MAX_RUNNING_JOBS."
    )

    def __str__(self) -> str:
        return f"quota of {self.person}"

    @classmethod
    def of(cls, person: Any) -> Quota:
        """The person's quota; one that says nothing where there is none."""
        return cls.objects.filter(person=person.pk).first() or cls()

    @staticmethod
    def used(person: Any) -> int:
        """How many bytes the person has here: files, and jobs with their rows, results, runs and activity."""
        parts = (
            (person.upload_set.exclude(file=""), models.F("size")),
            (person.jobs.all(), OF_JOB),
            (Run.objects.filter(job__owner=person.pk), OF_RUN),
            (Activity.objects.filter(job__owner=person.pk).order_by(), OF_LINE),
        )
        return sum(int(rows.aggregate(bytes=models.Sum(size, default=0))["bytes"]) for rows, size in parts)

    @classmethod
    def told(cls, person: Any) -> str:
        """How much of what the person may store is in use, in a sentence."""
        most = cls.of(person).megabytes.most
        allowed = f"of the {quota_limits.mb(most * quota_limits.MB)} that you may store here " if most else ""
        return f"Your files and rows take {quota_limits.mb(cls.used(person))} {allowed}".strip() + "."

    @classmethod
    def room_for_rows(cls, person: Any, size: int = 1) -> None:
        """Raises OverQuota where the person has no room for so many bytes of a job."""
        quota_limits.room_for_rows(cls.used(person), size, cls.of(person).megabytes)

    @classmethod
    def refuse_beyond(cls, person: Any) -> None:
        """Raises Refused where the person has more here by now than one may.

        Requires a transaction, and jobs locked.
        """
        quota_limits.one_at_a_time(person.pk)
        try:
            cls.room_for_rows(person, 0)
        except OverQuota as error:
            raise Refused(str(error)) from error

    @property
    def jobs(self) -> Allowed:
        """How many jobs that have not ended the person may have."""
        return allowed(self.running_jobs, "JOBS_MAX_RUNNING_JOBS")

    @property
    def megabytes(self) -> Allowed:
        """How many megabytes of files and rows the person may have."""
        return allowed(self.stored_mb, "JOBS_MAX_STORED_MB")


def allowed(own: int | None, setting: str) -> Allowed:
    return Allowed(getattr(settings, setting), setting) if own is None else Allowed(own, OWN)
