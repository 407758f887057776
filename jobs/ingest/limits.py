"""How this server reads files: within its own limits."""

from __future__ import annotations

from typing import Final, Unpack

from django.conf import settings

from jobs import files
from jobs.files.shape import Given

MB: Final = 1_000_000
LONGEST: Final = 500  # characters of a reason


def limits() -> files.Limits:
    """What the settings allow."""
    return files.Limits(
        columns=settings.JOBS_MAX_COLUMNS,
        cell_chars=settings.JOBS_MAX_CELL_CHARS,
        row_bytes=settings.JOBS_MAX_ROW_MB * MB,
        rows=settings.JOBS_MAX_ROWS,
        json_depth=settings.JOBS_MAX_JSON_DEPTH,
        unpacked_bytes=settings.JOBS_MAX_UNPACKED_MB * MB,
        ratio=settings.JOBS_MAX_RATIO,
        sheets=settings.JOBS_MAX_SHEETS,
    )


def sniff(head: bytes, name: str = "", *, complete: bool = False, **given: Unpack[Given]) -> files.Shape:
    """The shape of the file that begins with `head`. Raises Unreadable."""
    return files.sniff(head, name, complete=complete, limits=limits(), **given)


def recognise(stream: files.Readable, name: str = "", **given: Unpack[Given]) -> files.Shape:
    """The shape of a whole file that can go back to its beginning. Raises Unreadable."""
    return files.recognise(stream, name, limits(), **given)


def read(stream: files.Readable, shape: files.Shape) -> files.Reader:
    """The rows of a stream that stands at its beginning."""
    return files.read(stream, shape, limits())


def open_rows(stream: files.Readable, name: str = "", **given: Unpack[Given]) -> files.Reader:
    """Recognises and reads in one go, also what cannot go back. Raises Unreadable."""
    return files.open_rows(stream, name, limits(), **given)


def sheets(stream: files.Readable) -> tuple[str, ...]:
    """The names of a workbook's sheets, for a file that can go back to its beginning. Raises Unreadable."""
    return files.sheets(stream, limits())
