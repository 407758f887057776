"""Static files of production: without what only readers of the code want, compressed, and named by their content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage

MANIFEST: Final = "staticfiles.json"
COLLECTED: Final = "collected.sha256"  # beside it: what the files were made of
OURS: Final = ("jobs/js/*.js", "jobs/css/*.css")
# A comment that has its lines for itself, white space before a line, an empty line. To find comments after code would
# take a parser, for what looks like one may stand in a text.
ASIDE: Final = re.compile(r"^[ \t]*//.*\n|^[ \t]*/\*(?:(?!\*/)[\s\S])*\*/[ \t]*\n|^[ \t]+|^\n", re.MULTILINE)


def bare(text: str) -> str:
    """The script or style without comments and white space between its lines, a fifth less when compressed."""
    return ASIDE.sub("", text)


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also gives the imports between the pages' own modules their hashed names.

    Django's switch for that reads every script, and stumbles over a comment in htmx; the name of its pattern is
    private, so a test holds it.
    """

    patterns = (
        *HashedFilesMixin.patterns,
        (OURS[0], HashedFilesMixin._js_module_import_aggregation_patterns[1]),  # type: ignore[attr-defined]
    )

    def post_process(self, paths: Mapping[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Hashes and compresses what was collected, our own files without what is written aside."""
        ours = [name for name in paths if any(fnmatch(name, pattern) for pattern in OURS)]
        for name in () if dry_run else ours:
            file = Path(self.path(name))
            file.write_text(bare(file.read_text()))
        yield from super().post_process({**paths, **{name: (self, name) for name in ours}}, dry_run, **options)


def outdated() -> bool:
    """Whether STATIC_ROOT lacks files, or `collect` made them of others than there are. Who collects them by hand, as
    the build of an image does, also sees to their being up to date.
    """
    folder = Path(str(settings.STATIC_ROOT))
    made_of = folder / COLLECTED
    return not (folder / MANIFEST).exists() or (made_of.exists() and made_of.read_text() != sources())


def collect() -> None:
    """Makes the static files of production, which takes some seconds. Raises OSError."""
    call_command("collectstatic", verbosity=0, interactive=False)
    (Path(str(settings.STATIC_ROOT)) / COLLECTED).write_text(sources())


def sources() -> str:
    """Changes with every file that static files are made of."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
