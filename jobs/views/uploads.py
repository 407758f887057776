"""Files that come by themselves while the form of a job is being filled in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST

from jobs.ingest.uploads import NotKept, keep, same_content
from jobs.models import Upload
from jobs.views.access import person


@require_POST
def uploads(request: HttpRequest) -> JsonResponse:
    """Stores a file: `{"upload": 7, "name": "rows.csv", "size": 4096, "same": …}`, or `{"error": sentence}`."""
    try:
        upload = keep(request.FILES.get("file"), person(request))
    except NotKept as refusal:
        return JsonResponse({"error": str(refusal)}, status=refusal.status)
    same = same_content(upload, person(request))
    return JsonResponse({"upload": upload.pk, "name": upload.name, "size": upload.size, "same": same}, status=201)


@require_http_methods(["DELETE"])
def upload(request: HttpRequest, key: int) -> HttpResponse:
    """Removes a file that no job was made of."""
    get_object_or_404(Upload, pk=key, owner=person(request)).discard()
    return HttpResponse(status=204)
