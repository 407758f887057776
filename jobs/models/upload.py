from __future__ import annotations

import hashlib
import posixpath
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs.models import quota_limits
from jobs.models.quota import Quota


def stored_path(upload: Upload, name: str) -> str:
    """A path of our own making: nothing of the person's file name reaches the disk."""
    return f"{timezone.now():%Y/%m}/{uuid.uuid4().hex}"


class UploadQuerySet(models.QuerySet["Upload"]):
    """Uploads, and which of them nobody needs."""

    def unreferenced(self, older_than: timedelta = timedelta(hours=1)) -> UploadQuerySet:
        """Uploads that no job or run refers to, and that nobody is likely to be filling in a form about."""
        return self.filter(job=None, runs=None, used__lt=timezone.now() - older_than)

    def use(self) -> int:
        """Notes that somebody still wants them."""
        return self.update(used=timezone.now())

    def discard(self) -> int:
        """Removes rows and files. A row that a job took meanwhile stays, and so does its file."""
        return sum(upload.discard() for upload in self)


def discard_strays(older_than: timedelta = timedelta(hours=1)) -> int:
    """Removes files that no row knows of, whose maker died between the two; returns how many."""
    storage = Upload._meta.get_field("file").storage
    known = set(Upload.objects.values_list("file", flat=True))
    stray = [path for path in stored_files(storage) if path not in known and age(storage, path) > older_than]
    for path in stray:
        storage.delete(path)
    return len(stray)


def stored_files(storage: Storage, folder: str = "") -> Iterator[str]:
    """The paths of all files in a folder of the storage and the folders in it."""
    folders, files = storage.listdir(folder)
    yield from (posixpath.join(folder, name) for name in files)
    for name in folders:
        yield from stored_files(storage, posixpath.join(folder, name))


def age(storage: Storage, path: str) -> timedelta:
    """How old the file is; one that is gone meanwhile has no age."""
    try:
        return timezone.now() - storage.get_modified_time(path)
    except FileNotFoundError:
        return timedelta(0)


class Upload(models.Model):
    """A stored file. Jobs refer to it; it goes an hour after its last reference went."""

    class State(models.TextChoices):
        STORED = "stored", "Stored"
        BROKEN = "broken", "Cannot be read"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=255)
    file = models.FileField(upload_to=stored_path, max_length=255)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.STORED)
    created = models.DateTimeField(default=timezone.now)
    used = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When somebody last wanted it.")

    objects = UploadQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "sha256"], name="upload_owner_sha256")]

    def __str__(self) -> str:
        return self.name

    def opened(self) -> File[bytes]:
        """The stored file, at its beginning. Raises FileNotFoundError where it is gone."""
        # Not `file.open`, which would open again what it had opened before, and is lost where that was removed.
        return self.file.storage.open(str(self.file.name), "rb")

    def discard(self) -> bool:
        """Removes the row, and with it the file; False where a job refers to it after all."""
        try:
            with transaction.atomic():
                count, _ = Upload.objects.filter(pk=self.pk, job=None, runs=None).delete()
                if count:
                    transaction.on_commit(partial(self.file.storage.delete, str(self.file.name)), robust=True)
        except IntegrityError:
            return False
        return bool(count)

    def follow(self) -> None:
        """Belongs to whom it serves: where no job of its owner refers to it, to the owner of the first that does."""
        owners = list(self.job_set.order_by("pk").values_list("owner_id", flat=True))
        owners += self.runs.order_by("pk").values_list("job__owner_id", flat=True)
        if owners and self.owner_id not in owners:
            Upload.objects.filter(pk=self.pk).update(owner=owners[0])
            self.refresh_from_db(fields=["owner"])

    @classmethod
    def keep(cls, file: File[bytes], name: str, owner: Any) -> Upload:
        """Stores `file` under a path of our own; `name` is kept only to be shown.

        Raises OverQuota where it is too much beside what the person has stored already, and NoRoom.
        """
        digest = hashlib.sha256()
        size = 0
        for chunk in file.chunks():
            digest.update(chunk)
            size += len(chunk)
        file.seek(0)
        allowed = Quota.of(owner).megabytes
        quota_limits.room_for_file(Quota.used(owner), size, allowed)
        quota_limits.room_on_disk(0)
        upload = cls(owner=owner, name=clean_name(name), size=size, sha256=digest.hexdigest())
        path = stored_path(upload, name)
        try:
            upload.file.name = upload.file.storage.save(path, file)
            with transaction.atomic():
                # Another file may have come meanwhile.
                quota_limits.one_at_a_time(owner.pk)
                quota_limits.room_for_file(Quota.used(owner), size, allowed)
                upload.save()
        except BaseException:
            # Where the disk is full, what did fit on it is there.
            upload.file.storage.delete(path)
            raise
        return upload


def clean_name(name: str) -> str:
    """The last part of a file name without control characters, short enough to be shown."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in last if char.isprintable())[:200].strip() or "rows"
