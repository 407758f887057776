"""Files that come by themselves while the form of a job is being filled in."""

from __future__ import annotations

import errno
import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from jobs.models import Job, Upload
from jobs.models.quota_limits import OverQuota
from jobs.views.access import person

logger = logging.getLogger(__name__)


class NotKept(Exception):
    """The file cannot be stored. The message is a sentence for the person who sent it."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def keep(request: HttpRequest) -> Upload:
    """Stores the file that was sent as `file`. Raises NotKept."""
    file = request.FILES.get("file")
    limit = settings.JOBS_MAX_UPLOAD_BYTES
    if not file or not file.size:
        raise NotKept("There is no file, or it is empty.", 422)
    if file.size > limit:
        raise NotKept(f"The file has {file.size:,} bytes; up to {limit:,} can be sent here.", 413)
    try:
        return Upload.keep(file, str(file.name), person(request))
    except OverQuota as refusal:
        raise NotKept(str(refusal), 422) from refusal
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        logger.error("No room is left: %s", error)
        raise NotKept("The server has no room left for this file. Nothing was stored.", 507) from error


@require_POST
def uploads(request: HttpRequest) -> JsonResponse:
    """Stores a file: `{"upload": 7, "name": "rows.csv", "size": 4096, "same": …}`, or `{"error": sentence}`."""
    try:
        upload = keep(request)
    except NotKept as refusal:
        return JsonResponse({"error": str(refusal)}, status=refusal.status)
    same = same_content(upload, person(request))
    return JsonResponse({"upload": upload.pk, "name": upload.name, "size": upload.size, "same": same}, status=201)


@require_http_methods(["DELETE"])
def upload(request: HttpRequest, key: int) -> HttpResponse:
    """Removes a file that no job was made of."""
    get_object_or_404(Upload, pk=key, owner=person(request)).discard()
    return HttpResponse(status=204)


def same_content(upload: Upload, owner: User) -> dict[str, Any] | None:
    """The newest job that the person made of the same content before, for the page to ask about."""
    job = Job.objects.of_same_content(upload, owner).first()
    if job is None:
        return None
    again = f"{reverse('jobs:new')}?again={job.code}"
    return {"name": job.name, "url": job.get_absolute_url(), "again": again, "created": job.created}
