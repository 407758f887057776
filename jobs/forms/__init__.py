"""The form of a new job. What it asks for beyond the file follows from the file and the processor."""

from jobs.forms.column_mapping import guess
from jobs.forms.file import GONE, given_by, options_of, upload_for
from jobs.forms.item_edit import EditForm
from jobs.forms.job import NAMES, JobForm, chosen_one
from jobs.forms.policy import defaults, filled
from jobs.forms.prefill import filled_in
from jobs.forms.retry import RetryForm
from jobs.forms.run_settings import RunSettingsForm
from jobs.models.run_settings import LIMIT, POLICY

__all__ = [
    "GONE",
    "LIMIT",
    "NAMES",
    "POLICY",
    "EditForm",
    "JobForm",
    "RetryForm",
    "RunSettingsForm",
    "chosen_one",
    "defaults",
    "filled",
    "filled_in",
    "given_by",
    "guess",
    "options_of",
    "upload_for",
]
