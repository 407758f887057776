"""Stored files: kept for a person, within their quota, and found again by what is in them."""

from __future__ import annotations

import errno
import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.urls import reverse

from jobs.models import Job, Upload
from jobs.models.quota_limits import OverQuota

logger = logging.getLogger(__name__)


class NotKept(Exception):
    """The file cannot be stored. The message is a sentence for the person who sent it."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def keep(file: UploadedFile[Any] | None, owner: User) -> Upload:
    """Stores a file that was sent. Raises NotKept."""
    limit = settings.JOBS_MAX_UPLOAD_BYTES
    if not file or not file.size:
        raise NotKept("There is no file, or it is empty.", 422)
    if file.size > limit:
        raise NotKept(f"The file has {file.size:,} bytes; up to {limit:,} can be sent here.", 413)
    try:
        return Upload.keep(file, str(file.name), owner)
    except OverQuota as refusal:
        raise NotKept(str(refusal), 422) from refusal
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        logger.error("No room is left: %s", error)
        raise NotKept("The server has no room left for this file. Nothing was stored.", 507) from error


def same_content(upload: Upload, owner: User) -> dict[str, Any] | None:
    """The newest job that the person made of the same content before, for the page to ask about."""
    job = Job.objects.of_same_content(upload, owner).first()
    if job is None:
        return None
    again = f"{reverse('jobs:new')}?again={job.code}"
    return {"name": job.name, "url": job.get_absolute_url(), "again": again, "created": job.created}
