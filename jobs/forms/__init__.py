"""The form of a new job. What it asks for beyond the file follows from the file and the processor."""

from jobs.forms.again import filled_in
from jobs.forms.guessing import guess
from jobs.forms.job import NAMES, JobForm
from jobs.forms.policy import LIMIT, POLICY, defaults
from jobs.forms.source import GONE, given_by, options_of, understood, upload_for

__all__ = [
    "GONE",
    "LIMIT",
    "NAMES",
    "POLICY",
    "JobForm",
    "defaults",
    "filled_in",
    "given_by",
    "guess",
    "options_of",
    "understood",
    "upload_for",
]
