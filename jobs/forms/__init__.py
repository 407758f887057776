"""The form of a new job. What it asks for beyond the file follows from the file and the processor."""

from jobs.dials import LIMIT, POLICY
from jobs.forms.again import filled_in
from jobs.forms.dials import DialsForm
from jobs.forms.editing import EditForm
from jobs.forms.guessing import guess
from jobs.forms.job import NAMES, JobForm, chosen_one
from jobs.forms.policy import defaults, filled
from jobs.forms.retry import RetryForm
from jobs.forms.source import GONE, given_by, options_of, upload_for

__all__ = [
    "GONE",
    "LIMIT",
    "NAMES",
    "POLICY",
    "DialsForm",
    "EditForm",
    "JobForm",
    "RetryForm",
    "chosen_one",
    "defaults",
    "filled",
    "filled_in",
    "given_by",
    "guess",
    "options_of",
    "upload_for",
]
