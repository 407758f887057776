"""The form that tries items again: how, if not as before."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from django import forms

from jobs import processors
from jobs.forms.job import parameter_field
from jobs.forms.run_settings import RunSettingsForm, plain
from jobs.models import Job, parameters, run_settings
from jobs.processors import Parameter, ParameterError

PARAMETER: Final = "param_"


class RetryForm(RunSettingsForm):
    """Settings, and the parameters of the job's processor. As in the panel, only what the person changed counts.

    A secret is never shown, and an empty field keeps it, unless it would be sent elsewhere then. None goes along with
    what somebody else changed since the form was shown.
    """

    def __init__(self, job: Job, data: Any = None, by: Any = None) -> None:
        self.sent: Any = None if data is None else data.copy()
        super().__init__(job, self.sent, auto_id="retry_%s")
        self.job, self.by = job, by
        known = processors.get(job.processor).parameters if job.processor in processors.names() else ()
        secret = parameters.secret_names(job.processor, job.parameters)
        self.declared: dict[str, Parameter] = {
            PARAMETER + one.name: replace(one, secret=one.name in secret) for one in known
        }
        for name in run_settings.LIMIT:
            self.fields.pop(name, None)
        for name, parameter in self.declared.items():
            # A box without its tick is not sent, but what was in it before is.
            if data is None or name in data or f"initial-{name}" in data:
                self._add(name, parameter)
        self.seen = {self.declared[name].name: self._stored(name) for name in self._shown()}

    def _add(self, name: str, parameter: Parameter) -> None:
        stored = self._stored(name)
        self.fields[name] = field = parameter_field(parameter)
        field.widget.attrs["autocomplete"] = "off"
        if not parameter.secret:
            self.initial[name] = plain(stored)
            field.show_hidden_initial = True
        elif stored:
            field.help_text = f"{field.help_text} Leave it empty to keep the present one.".strip()

    def _stored(self, name: str) -> Any:
        return self.job.parameters.get(self.declared[name].name)

    def _shown(self) -> dict[str, tuple[str, str]]:
        """The parameters that the person saw: what stood in their fields then, and what does now."""
        shown = {name: self[name] for name in self.fields if name in self.initial and name in self.declared}
        return {
            name: (written(self.data[field.html_initial_name]), written(text_of(field)))
            for name, field in shown.items()
            if field.html_initial_name in self.data
        }

    @property
    def parameter_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in self.declared]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that are to be changed."""
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
        words = run_settings.told(self.job.settings, {**self.job.settings, **self.settings})
        words += [f"Changed the parameters {', '.join(sorted(self.parameters))}"] if self.parameters else []
        return [f"{text}." for text in words]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.cleaned_data = data
        unknown = [name for name in self.data if name.startswith(PARAMETER) and name not in self.declared]
        if unknown:
            self.add_error(None, f"{self.job.processor} has no parameter “{unknown[0].removeprefix(PARAMETER)[:40]}”.")
        elif moved := self._moved():
            for name in moved:
                self._show_anew(name)
        elif changed := self.parameters:
            self._check(changed)
        return data

    def _moved(self) -> list[str]:
        """Which fields showed what is another thing by now, where secrets go along with it."""
        shown = {self.declared[name].name: texts for name, texts in self._shown().items()}
        seen = {name: then for name, (then, _) in shown.items()}
        now = {**self.job.parameters, **{name: now for name, (_, now) in shown.items()}}
        return [PARAMETER + name for name in parameters.moved(self.job.processor, seen, now, self.parameters)]

    def _show_anew(self, name: str) -> None:
        """The field holds what the job has now, unless the person typed something else into it."""
        field = self[name]
        if name not in self.changed_data:
            self.sent[name] = text_of(field)
        self.sent[field.html_initial_name] = text_of(field)
        self.add_error(name, parameters.MOVED.format(self.declared[name].name))

    def _check(self, changed: dict[str, Any]) -> None:
        if sentence := self.job.fixed:
            self.add_error(None, sentence)
            return
        try:
            values = parameters.amended(self.job.processor, self.job.protect(), changed)
        except ParameterError as error:
            self._blame(error.name, str(error))
            return
        for name, sentence in self.job.to_type_again(self.by, {"parameters": values}).items():
            self._blame(name, sentence)

    def _blame(self, parameter: str, sentence: str) -> None:
        name = PARAMETER + parameter
        self.add_error(name if name in self.fields else None, sentence)


def text_of(field: forms.BoundField) -> str:
    """What stands in the field where nobody has typed."""
    return str(field.field.hidden_widget().format_value(field.initial) or "")


def written(text: str) -> str:
    """What came out of a browser, or goes into one: it ends lines in its own way."""
    return re.sub("\r\n?", "\n", text)
