"""Static files of production: compressed, and named by their content."""

from __future__ import annotations

from django.contrib.staticfiles.storage import HashedFilesMixin
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also gives the imports between the pages' own modules their hashed names.

    Django's switch for that reads every script, and stumbles over a comment in htmx; the name of its pattern is
    private, so a test holds it.
    """

    patterns = (
        *HashedFilesMixin.patterns,
        ("jobs/js/*.js", HashedFilesMixin._js_module_import_aggregation_patterns[1]),  # type: ignore[attr-defined]
    )
