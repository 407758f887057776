"""The form that changes how a job runs while it does."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from jobs.forms.policy import FASTEST, PolicyFields
from jobs.models import Job
from jobs.models.failure_limit import SAMPLE

HELP: Final = {
    "attempts": "From 1 to 20.",
    "timeout": "From 0.1 to 86,400. Empty: no limit.",
    "rate": f"Up to {FASTEST:,}. Empty: as fast as it goes.",
}


class RunSettingsForm(PolicyFields):
    """Only what was sent is a field of it, and only what the person changed counts.

    What the person saw is sent along: two who each change something else at the same time both get what they want.
    """

    def __init__(self, job: Job, data: Any = None, *, auto_id: str = "dial_%s") -> None:
        initial = {name: plain(value) for name, value in job.settings.items()}
        super().__init__(data, initial=initial, auto_id=auto_id)
        self.bound_workers()
        self.fields["workers"].help_text = f"From 1 to {settings.JOBS_MAX_WORKERS:,}."
        for name, field in self.fields.items():
            field.show_hidden_initial = True
            field.help_text = HELP.get(name, field.help_text)
            field.widget.attrs["autocomplete"] = "off"
        if data is not None:
            self.fields = {name: field for name, field in self.fields.items() if name in data}

    @property
    def changes(self) -> dict[str, Any]:
        """What the person changed, by the names of the job's fields, as far as it is valid."""
        differ = {name for name in self.fields if self[name].html_initial_name not in self.data} | {*self.changed_data}
        changed = {name: value for name, value in self.cleaned_data.items() if name in differ}
        if "limit_sample" in changed:
            changed["limit_sample"] = changed["limit_sample"] or SAMPLE
        return changed


def plain(value: float | None) -> float | None:
    """60 and not 60.0, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
