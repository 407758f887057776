"""The form that tries items again: how, if not as before."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from jobs import dials, processors
from jobs.forms.dials import DialsForm, plain
from jobs.forms.job import parameter_field
from jobs.models import Job
from jobs.processors import Parameter, ParameterError

PARAMETER: Final = "param_"


class RetryForm(DialsForm):
    """Dials, and the parameters of the job's processor. As in the panel, only what the person changed counts.

    A secret is never shown, and an empty field keeps it.
    """

    def __init__(self, job: Job, data: Any = None) -> None:
        super().__init__(job, data, auto_id="retry_%s")
        self.job = job
        known = job.processor in processors.names()
        self.declared: dict[str, Parameter] = (
            {PARAMETER + one.name: one for one in processors.get(job.processor).parameters} if known else {}
        )
        for name in dials.LIMIT:
            self.fields.pop(name, None)
        for name, parameter in self.declared.items():
            # A box without its tick is not sent, but what was in it before is.
            if data is None or name in data or f"initial-{name}" in data:
                self._add(name, parameter)

    def _add(self, name: str, parameter: Parameter) -> None:
        stored = self.job.parameters.get(parameter.name)
        self.fields[name] = field = parameter_field(parameter)
        field.widget.attrs["autocomplete"] = "off"
        if not parameter.secret:
            self.initial[name] = plain(stored)
            field.show_hidden_initial = True
        elif stored:
            field.help_text = f"{field.help_text} Leave it empty to keep the present one.".strip()

    @property
    def parameter_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in self.declared]

    @property
    def dials(self) -> dict[str, Any]:
        """The dials that are to be changed."""
        return {name: value for name, value in self.changes.items() if name not in self.declared}

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that are to be changed."""
        return {
            self.declared[name].name: value
            for name, value in self.changes.items()
            if name in self.declared and (value or not self.declared[name].secret)
        }

    @property
    def told(self) -> list[str]:
        """What differs from before, in sentences."""
        words = dials.told(self.job.dials, {**self.job.dials, **self.dials})
        words += [f"Changed the parameters {', '.join(sorted(self.parameters))}"] if self.parameters else []
        return [f"{text}." for text in words]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.cleaned_data = data
        unknown = [name for name in self.data if name.startswith(PARAMETER) and name not in self.declared]
        if unknown:
            self.add_error(None, f"{self.job.processor} has no parameter “{unknown[0].removeprefix(PARAMETER)[:40]}”.")
        elif changed := self.parameters:
            self._check(changed)
        return data

    def _check(self, changed: dict[str, Any]) -> None:
        if sentence := self.job.fixed:
            self.add_error(None, sentence)
            return
        try:
            processors.get(self.job.processor).clean({**self.job.parameters, **changed})
        except ParameterError as error:
            name = PARAMETER + error.name
            self.add_error(name if name in self.fields else None, str(error))
