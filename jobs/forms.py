"""The form of a new job. What it asks for beyond the file follows from the processor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final, cast

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.validators import MaxValueValidator, MinValueValidator

from jobs import files, processors, sources
from jobs.engine import Policy
from jobs.limits import SAMPLE
from jobs.models import Upload
from jobs.processors import Parameter, ParameterError, Processor
from jobs.quotas import OverQuota

TIMEOUT: Final = 60  # seconds for an attempt unless the person says otherwise
POLICY: Final = ("workers", "attempts", "timeout", "rate")
LIMIT: Final = ("limit_share", "limit_sample", "limit_count", "limit_streak")


def guess(processor: Processor, columns: Sequence[str]) -> dict[str, str]:
    """Input → column, matched by name; a required input takes the only column there is."""
    names = {plain(column): column for column in reversed(columns)}
    mapping = {}
    for one in processor.inputs:
        like = [column for name, column in names.items() if plain(one.name) in name]
        column = names.get(plain(one.name)) or (like[-1] if like and one.required else "")
        if not column and one.required and len(columns) == 1:
            column = columns[0]
        if column:
            mapping[one.name] = column
    return mapping


def plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def parameter_field(parameter: Parameter) -> forms.Field:
    """A form field made from the type of a processor's parameter."""
    common: dict[str, Any] = {
        "label": parameter.title, "help_text": parameter.help, "required": False, "initial": parameter.default
    }  # fmt: skip
    if parameter.choices:
        return forms.ChoiceField(choices=[(str(c), str(c)) for c in parameter.choices], **common)
    if parameter.type is bool:
        return forms.BooleanField(**common)
    if parameter.type in (int, float):
        number = forms.IntegerField if parameter.type is int else forms.FloatField
        limits = {"min_value": parameter.minimum, "max_value": parameter.maximum}
        return number(**limits, **common)  # type: ignore[arg-type]
    if parameter.secret:
        return forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "off"}), **common)
    return forms.CharField(**common)


def defaults(processor: Processor) -> dict[str, Any]:
    """The policy of a job that nobody changed."""
    policy = processor.policy
    computes = processor.kind == "cpu" and policy.workers == Policy().workers
    return {
        "workers": min(cores() if computes else policy.workers, settings.JOBS_MAX_WORKERS),
        "attempts": policy.attempts,
        "timeout": TIMEOUT,
        "rate": policy.rate,
    }


def cores() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def good_number(processor: Processor) -> str:
    """How many items at a time suit the processor, in plain words."""
    here = f"{cores()} on this machine"
    if processor.kind == "cpu":
        return f"This work computes, so as many as there are cores is best: {here}."
    return (
        "5 to 20 is good for work that waits on a network, and never more than the service behind it allows. "
        f"Work that computes wants as many as there are cores ({here})."
    )


class JobForm(forms.Form):
    """File, processor, mapping, parameters, policy. The file comes with the form or was kept from an earlier try."""

    upload = forms.ModelChoiceField(Upload.objects.none(), required=False, widget=forms.HiddenInput)
    file = forms.FileField(required=False, allow_empty_file=True, max_length=5_000)
    name = forms.CharField(max_length=200, required=False, help_text="The file's name unless you give another.")
    processor = forms.ChoiceField(widget=forms.RadioSelect)
    workers = forms.IntegerField(min_value=1, label="Items at a time")
    attempts = forms.IntegerField(
        min_value=1, max_value=20, label="Attempts", help_text="How often an item is tried before it counts as failed."
    )
    timeout = forms.FloatField(
        min_value=0.1, max_value=86_400, required=False, label="Timeout (seconds)",
        help_text="An attempt that takes longer counts as failed. Empty: no limit.",
    )  # fmt: skip
    rate = forms.FloatField(
        min_value=0.001, required=False, label="Starts per second", help_text="Empty: as fast as it goes."
    )

    limit_share = forms.FloatField(
        min_value=0, max_value=99.9, required=False, label="Share of failures (%)",
        help_text="Pauses when more than that fails. Empty: no limit.",
    )  # fmt: skip
    limit_sample = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, initial=SAMPLE, label="Least items for a share",
        help_text="So many are tried before a share of them counts.",
    )  # fmt: skip
    limit_count = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, label="Number of failures", help_text="Empty: no limit."
    )
    limit_streak = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, label="Failures in a row",
        help_text="Of one cause, as when a service is away. Empty: no limit.",
    )  # fmt: skip

    def __init__(
        self, data: Any = None, uploaded: Any = None, *, owner: User, columns: Sequence[str] = (), chosen: str = "",
        initial: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.chosen = chosen_one(chosen or (data or {}).get("processor", ""))
        self.usual = usual = {"processor": self.chosen.name, **defaults(self.chosen)}
        super().__init__(None if data is None else filled(data, usual), uploaded, initial=usual | dict(initial or {}))
        self.owner = owner
        self.kept: Upload | None = None
        self.shape: files.Shape | None = None
        self.trouble = ""
        self._fit()
        self.set_columns(columns)

    def _fit(self) -> None:
        """What depends on the person, the settings and the processor."""
        cast("forms.ModelChoiceField[Upload]", self.fields["upload"]).queryset = Upload.objects.filter(owner=self.owner)
        workers = self.fields["workers"]
        workers.validators = [
            MinValueValidator(1, "At least one item at a time."),
            MaxValueValidator(settings.JOBS_MAX_WORKERS, "At most %(limit_value)s items at a time are allowed here."),
        ]
        workers.widget.attrs["max"] = settings.JOBS_MAX_WORKERS
        workers.help_text = good_number(self.chosen)
        choice = cast(forms.ChoiceField, self.fields["processor"])
        choice.choices = [(p.name, p.label) for p in processors.all_processors()]
        for parameter in self.chosen.parameters:
            self.fields[f"param_{parameter.name}"] = parameter_field(parameter)

    def set_columns(self, columns: Sequence[str]) -> None:
        """One select for each input of the processor, set to the column that fits by name."""
        choices = [("", "Not used"), *((column, column) for column in columns)]
        guessed = guess(self.chosen, columns)
        for one in self.chosen.inputs:
            self.fields[f"map_{one.name}"] = forms.ChoiceField(
                choices=choices, required=False, label=one.title, help_text=one.help, initial=guessed.get(one.name, "")
            )

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in LIMIT]

    @property
    def limited(self) -> bool:
        """Whether something stands in the fields of the failure limit that is not there of itself."""
        return any(
            self[name].errors or self[name].value() not in (None, "") for name in LIMIT if name != "limit_sample"
        )

    @property
    def mapping_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("map_")]

    @property
    def parameter_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("param_")]

    def full_clean(self) -> None:
        if self.is_bound:
            self.recognise()
        super().full_clean()

    def recognise(self) -> None:
        """Looks at the file, since the columns to choose from are in it."""
        sent = self.files.get("file")
        self.kept = self._kept()
        if sent is None and self.kept is None:
            self.trouble = "Choose a file."
            return
        name = str(sent.name if sent else self.kept and self.kept.name)
        try:
            self.shape = self._shape(sent, name)
        except files.Unreadable as error:
            self.trouble = str(error)
        else:
            self.set_columns(self.shape.columns)

    def _kept(self) -> Upload | None:
        key = str(self.data.get("upload", ""))
        own = Upload.objects.filter(owner=self.owner).exclude(file="")
        return own.filter(pk=int(key)).first() if key.isdecimal() else None

    def _shape(self, sent: Any, name: str) -> files.Shape:
        if sent is None and self.kept:
            with closing(self.kept.file.open("rb")) as stored:
                return sources.recognise(stored, name)
        return sources.recognise(sent, name)

    def clean_file(self) -> File[bytes] | None:
        file: File[bytes] | None = self.cleaned_data.get("file")
        limit = settings.JOBS_MAX_UPLOAD_BYTES
        if file and file.size > limit:
            raise forms.ValidationError(f"The file has {file.size:,} bytes; up to {limit:,} can be sent here.")
        return file

    def keep_upload(self) -> Upload | None:
        """Stores the file, so that a form that comes back with an error does not ask for it again."""
        sent = self.files.get("file")
        if sent and not self.trouble and not self.errors.get("file"):
            try:
                self.kept = Upload.keep(sent, str(sent.name), self.owner)
            except OverQuota as error:
                self.kept, self.trouble = None, str(error)
                self.add_error("file", self.trouble)
        return self.kept

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.trouble:
            self.add_error("file", self.trouble)
        if self.shape:
            data["mapping"] = self._mapping(self.shape)
        data["parameters"] = self._parameters(data)
        return data

    def _mapping(self, shape: files.Shape) -> dict[str, str]:
        """Input → column. An input without a select in what was sent takes the column that fits by name."""
        guessed = guess(self.chosen, shape.columns)
        mapping = {}
        for one in self.chosen.inputs:
            field = f"map_{one.name}"
            column = self.data[field] if field in self.data else guessed.get(one.name, "")
            if column:
                mapping[one.name] = column
            elif one.required:
                self.add_error(field, f"Choose the column that holds “{one.title}”.")
        return mapping

    def _parameters(self, data: Mapping[str, Any]) -> dict[str, Any]:
        given = {
            p.name: data[f"param_{p.name}"]
            for p in self.chosen.parameters
            if data.get(f"param_{p.name}") not in (None, "")
        }
        try:
            return self.chosen.clean(given)
        except ParameterError as error:
            self.add_error(f"param_{error.name}" if f"param_{error.name}" in self.fields else None, str(error))
            return {}

    def job(self) -> dict[str, Any]:
        """The fields of the job that a valid form describes."""
        data, shape = self.cleaned_data, cast(files.Shape, self.shape)
        return {
            "name": data["name"] or cast(Upload, self.kept).name,
            "processor": self.chosen.name,
            "parameters": data["parameters"],
            "mapping": data["mapping"],
            "shape": shape.to_dict(),
            "columns": list(shape.columns),
            **{name: data[name] for name in (*POLICY, *LIMIT)},
            "limit_sample": data["limit_sample"] or SAMPLE,
        }


def chosen_one(name: str) -> Processor:
    """The processor called `name`, or the first one there is."""
    every = processors.all_processors()
    return next((p for p in every if p.name == name), every[0])


def filled(data: Any, usual: Mapping[str, Any]) -> Any:
    """What was sent, and the usual policy for what was left out altogether (an empty field is an answer)."""
    data = data.copy()
    for name in POLICY:
        if name not in data and usual[name] is not None:
            data[name] = usual[name]
    return data
