"""Static files of production: without what only readers of the code want, compressed, and named by their content."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles.storage import HashedFilesMixin
from whitenoise.storage import CompressedManifestStaticFilesStorage

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
