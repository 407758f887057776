"""What a person takes home."""

from __future__ import annotations

from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from jobs import results
from jobs.views.access import job_for


@require_GET
def result(request: HttpRequest, code: str, format: str) -> StreamingHttpResponse:
    """Every row of the input in its order, at any moment."""
    if format not in results.FORMATS:
        raise Http404("There is no such format.")
    job = job_for(request, code)
    text = results.streamed(results.chunks(job, format))
    return attachment(text, results.FORMATS[format], results.file_name(job, f"-results.{format}"))


@require_GET
def failed(request: HttpRequest, code: str) -> StreamingHttpResponse:
    """Exactly the failed rows, to be mended."""
    job = job_for(request, code)
    text = results.streamed(results.failed_chunks(job))
    return attachment(text, results.FORMATS["csv"], results.file_name(job, "-failed.csv"))


def attachment(text: object, content_type: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(text, content_type=content_type)  # type: ignore[arg-type]
    ascii_name = name.encode("ascii", "ignore").decode() or "results"
    response["Content-Disposition"] = f'attachment; filename="{ascii_name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response
