"""The item map: the state of every item in the order of the file, one byte each."""

from __future__ import annotations

import gzip
import re
from typing import Final, cast

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from jobs.models import Job, Shard
from jobs.models.states import CELL_FALLBACK, ItemState
from jobs.store import dialect
from jobs.views.access import job_for

LEVEL: Final = 1  # of gzip: a higher one takes ten times as long for a fifth less
ACCEPTS_GZIP: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")
AS_SHOWN: Final = bytes.maketrans(bytes([CELL_FALLBACK]), bytes([ItemState.FAILED]))


@require_safe
def cells(request: HttpRequest, code: str) -> HttpResponse:
    """What binary frames change: one byte for each item, waiting, succeeded, failed, rejected or retrying.

    `X-Seq` is the number of the job that they belong to. What runs and what an ended job did not attempt is not among
    them, for that changes without any item being stored: it follows from `running` and `state` of the frames.
    """
    with dialect.one_moment():
        job = job_for(request, code)
        answer = HttpResponse(content_type="application/octet-stream")
        answer["X-Seq"] = str(job.seq)
        # While the file is read, items come without a number of their own.
        answer["ETag"] = f'W/"{job.seq}.{job.total}"'
        answer["Cache-Control"] = "private, no-cache"
        patch_vary_headers(answer, ["Accept-Encoding", "Cookie"])
        known = get_conditional_response(request, etag=answer["ETag"], response=answer)
        if known is not answer:
            return cast(HttpResponse, known)
        stored = whole(job)
    return packed(request, answer, stored)


def whole(job: Job) -> bytes:
    """The cells of all shards, as frames show them."""
    shards = Shard.objects.filter(job=job).order_by("number").values_list("cells", flat=True)
    return b"".join(map(bytes, shards)).translate(AS_SHOWN)


def packed(request: HttpRequest, answer: HttpResponse, stored: bytes) -> HttpResponse:
    """The answer with the cells in it, compressed for whoever takes that."""
    if ACCEPTS_GZIP.search(request.headers.get("Accept-Encoding", "")):
        stored = gzip.compress(stored, LEVEL, mtime=0)
        answer["Content-Encoding"] = "gzip"
    answer.content = stored
    answer["Content-Length"] = str(len(stored))
    return answer
