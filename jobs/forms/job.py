"""The form of a new job as a whole: file, processor, mapping, parameters, policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from django import forms
from django.contrib.auth.models import User

from jobs import files, processors
from jobs.forms.column_mapping import automatic_key, automatic_label, guess
from jobs.forms.file import FileFields
from jobs.forms.policy import PolicyFields, defaults, filled
from jobs.models import Job, Upload
from jobs.models.failure_limit import SAMPLE
from jobs.models.run_settings import LIMIT, POLICY
from jobs.processors import Amended, Parameter, ParameterError, Processor

NAMES: Final = ("label_column", "key_column")
LONGEST: Final = 200  # characters of a column's name that a job can remember as label or key
NO_COLUMN: Final = {"invalid_choice": "The file has no column “%(value)s”."}


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


class JobForm(PolicyFields, FileFields):
    """File, processor, mapping, parameters, policy. The file comes with the form or was kept from an earlier try.

    `before` is the job that is to be changed, whose secrets are kept where nobody types them again.
    """

    name = forms.CharField(max_length=200, required=False, help_text="The file's name unless you give another.")
    processor = forms.ChoiceField(widget=forms.RadioSelect)

    def __init__(
        self, data: Any = None, uploaded: Any = None, *, owner: User, columns: Sequence[str] = (), chosen: str = "",
        initial: Mapping[str, Any] | None = None, before: Job | None = None,
    ) -> None:  # fmt: skip
        self.owner = owner
        self.chosen = chosen_one(chosen or (data or {}).get("processor", ""))
        self.before = before
        self.secrets = before.secrets_for(self.chosen.name) if before else {}
        self.usual = usual = {"processor": self.chosen.name, **defaults(self.chosen)}
        super().__init__(None if data is None else filled(data, usual), uploaded, initial=usual | dict(initial or {}))
        self.fit_policy(self.chosen)
        choice = cast(forms.ChoiceField, self.fields["processor"])
        choice.choices = [(p.name, p.label) for p in processors.all_processors()]
        for parameter in self.chosen.parameters:
            self.fields[f"param_{parameter.name}"] = field = parameter_field(parameter)
            if parameter.secret and self.secrets.get(parameter.name):
                field.help_text = f"{field.help_text} Leave it empty to keep the present one.".strip()
        self.set_columns(columns)

    def set_columns(self, columns: Sequence[str]) -> None:
        """One select for each input of the processor, set to the column that fits by name, and two for the names."""
        choices = [("", "Not used"), *((column, column) for column in columns)]
        self.columns = columns
        self.guessed = {one.name: "" for one in self.chosen.inputs} | guess(self.chosen, columns)
        for one in self.chosen.inputs:
            self.fields[f"map_{one.name}"] = forms.ChoiceField(
                choices=choices, required=False, label=one.title, help_text=one.help,
                initial=self.guessed[one.name], error_messages=NO_COLUMN,
                widget=forms.Select(attrs={"data-needed": ""} if one.required else {}),
            )  # fmt: skip
        self._set_names(columns)

    def _set_names(self, columns: Sequence[str]) -> None:
        said = self.data if self.is_bound else self.initial
        mapped = {name: str(said.get(f"map_{name}", found)) for name, found in self.guessed.items()}
        automatic = (automatic_label(self.chosen, columns, mapped), automatic_key(columns))
        labels = ("Name items by", "Key")
        helps = ("What an item is called on pages.", "Under it a row's result is found again.")
        for name, found, label, help in zip(NAMES, automatic, labels, helps, strict=True):
            first = ("", f"Automatic: {found}" if found else "Automatic: none")
            choices = [first, *((column, column) for column in columns if len(column) <= LONGEST)]
            self.fields[name] = forms.ChoiceField(
                choices=choices, required=False, label=label, help_text=help, error_messages=NO_COLUMN
            )

    @property
    def name_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in NAMES]

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
        super().recognise()
        if self.shape:
            self.set_columns(self._columns(self.shape))

    def _columns(self, shape: files.Shape) -> Sequence[str]:
        """Those of the file. One that was read whole before may have more than its first part shows."""
        jobs = Job.objects.filter(upload=self.kept, total__gt=0) if self.kept and not self.sent else ()
        alike = (job for job in jobs if replace(job.file_shape, columns=shape.columns) == shape)
        return next((job.columns for job in alike), shape.columns)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.trouble:
            self.add_error("file", self.trouble)
        for option, sentence in self.wrong.items():
            self.add_error(self.field_of(option), sentence)
        if self.shape:
            data["mapping"] = self._mapping()
        else:
            self._forget_columns()
        data["parameters"] = self._parameters(data)
        if self.before and self.shape and data["parameters"]:
            self._ask_for_secrets(self.before, data)
        return data

    def _ask_for_secrets(self, before: Job, data: Mapping[str, Any]) -> None:
        """Says which secrets must be typed again, since they might be sent elsewhere."""
        shape = cast(files.Shape, self.shape).to_dict()
        fields = {
            "processor": self.chosen.name, "parameters": data["parameters"], "mapping": data["mapping"],
            "shape": shape, "columns": list(self.columns), "upload": None if self.sent else self.kept,
        }  # fmt: skip
        for name, sentence in before.to_type_again(self.owner, fields).items():
            self.add_error(f"param_{name}", sentence)

    def _forget_columns(self) -> None:
        """Nothing is wrong with a column of a file that is not there."""
        for name in list(self.errors):
            if name in NAMES or name.startswith("map_"):
                del self.errors[name]

    def _mapping(self) -> dict[str, str]:
        """Input → column. An input without a select in what was sent takes the column that fits by name."""
        mapping = {}
        for one in self.chosen.inputs:
            field = f"map_{one.name}"
            column = self.data[field] if field in self.data else self.guessed[one.name]
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
        kept = {p.name: self.secrets[p.name] for p in self.chosen.parameters if p.secret and p.name in self.secrets}
        try:
            return self.chosen.clean(Amended(kept | given, self.before.parameters if self.before else {}))
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
            "columns": list(self.columns),
            **{name: data[name] for name in (*NAMES, *POLICY, *LIMIT)},
            "limit_sample": data["limit_sample"] or SAMPLE,
        }


def chosen_one(name: str) -> Processor:
    """The processor called `name`, or the first one there is."""
    every = processors.all_processors()
    return next((p for p in every if p.name == name), every[0])
