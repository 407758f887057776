"""The form of a new job. What it asks for beyond the file follows from the processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from jobs import files, processors
from jobs.models import Upload
from jobs.processors import Parameter, ParameterError, Processor

HEAD = 256 * 1024  # bytes that are enough to recognise a file


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
        return number(min_value=parameter.minimum, max_value=parameter.maximum, **common)
    if parameter.secret:
        return forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "off"}), **common)
    return forms.CharField(**common)


class JobForm(forms.Form):
    """File, processor, mapping, parameters, policy. `submit()` makes the job."""

    upload = forms.ModelChoiceField(Upload.objects.none(), required=False, widget=forms.HiddenInput)
    file = forms.FileField(required=False, allow_empty_file=True)
    name = forms.CharField(max_length=200, required=False, help_text="The file's name unless you give another.")
    processor = forms.ChoiceField(widget=forms.RadioSelect)
    workers = forms.IntegerField(
        min_value=1, max_value=settings.JOBS_MAX_WORKERS, label="Items at a time",
        help_text="5 to 20 for what waits on a network, no more than the service allows, the number of cores for what computes.",
    )  # fmt: skip
    attempts = forms.IntegerField(
        min_value=1, max_value=20, label="Attempts", help_text="How often an item is tried before it counts as failed."
    )
    timeout = forms.FloatField(
        min_value=0.1, max_value=86_400, required=False, label="Timeout (seconds)", initial=60,
        help_text="An attempt that takes longer counts as failed. Empty: no limit.",
    )  # fmt: skip
    rate = forms.FloatField(
        min_value=0.001, required=False, label="Starts per second", help_text="Empty: as fast as it goes."
    )

    def __init__(
        self, data: Any = None, uploaded: Any = None, *, owner: Any, columns: Sequence[str] = (), chosen: str = ""
    ) -> None:
        super().__init__(data, uploaded)
        self.owner = owner
        self.shape: files.Shape | None = None
        self.chosen = self._processor(chosen or self.data.get("processor", ""))
        self.trouble = ""
        self.fields["upload"].queryset = Upload.objects.filter(owner=owner)  # type: ignore[attr-defined]
        self.fields["processor"].choices = [(p.name, p.label) for p in processors.all_processors()]  # type: ignore[attr-defined]
        self.fields["processor"].initial = self.chosen.name
        self.fields["workers"].initial = self.chosen.policy.workers
        self.fields["attempts"].initial = self.chosen.policy.attempts
        self.set_columns(columns)
        for parameter in self.chosen.parameters:
            self.fields[f"param_{parameter.name}"] = parameter_field(parameter)

    def _processor(self, name: str) -> Processor:
        every = processors.all_processors()
        return next((p for p in every if p.name == name), every[0])

    def set_columns(self, columns: Sequence[str]) -> None:
        """One select for each input of the processor, set to the column that fits by name."""
        choices = [("", "Not used"), *((column, column) for column in columns)]
        guessed = guess(self.chosen, columns)
        for one in self.chosen.inputs:
            self.fields[f"map_{one.name}"] = forms.ChoiceField(
                choices=choices, required=False, label=one.title, help_text=one.help, initial=guessed.get(one.name, "")
            )

    @property
    def mapping_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("map_")]

    @property
    def parameter_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("param_")]

    def clean_file(self) -> UploadedFile | None:
        file: UploadedFile | None = self.cleaned_data.get("file")
        limit = settings.JOBS_MAX_UPLOAD_BYTES
        if file and (file.size or 0) > limit:
            raise forms.ValidationError(f"The file has {file.size:,} bytes; the limit here is {limit:,}.")
        return file

    def full_clean(self) -> None:
        if self.is_bound:
            self._recognise()
        super().full_clean()

    def _recognise(self) -> None:
        """Recognises the file first, since the columns to choose from are in it."""
        upload = Upload.objects.filter(owner=self.owner, pk=self._upload_key()).first()
        file = self.files.get("file")
        source = file or (upload.file.open("rb") if upload else None)
        if source is None:
            self.trouble = "Choose a file."
            return
        head = source.read(HEAD)
        source.seek(0)
        size = file.size if file else upload.size if upload else 0
        try:
            self.shape = files.sniff(head, getattr(source, "name", ""), complete=len(head) >= (size or 0))
        except files.Unreadable as error:
            self.trouble = str(error)
        else:
            self.set_columns(self.shape.columns)

    def _upload_key(self) -> int | None:
        key = str(self.data.get("upload", ""))
        return int(key) if key.isdecimal() else None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.trouble:
            self.add_error("file", self.trouble)
        elif self.shape:
            data["mapping"] = self._mapping()
        data["parameters"] = self._parameters(data)
        return data

    def _mapping(self) -> dict[str, str]:
        """Input → column. A form sent without the selects means the columns that fit by name."""
        assert self.shape
        sent = any(name.startswith("map_") for name in self.data)
        guessed = guess(self.chosen, self.shape.columns)
        mapping = {}
        for one in self.chosen.inputs:
            column = self.data.get(f"map_{one.name}", "") if sent else guessed.get(one.name, "")
            if column:
                mapping[one.name] = column
            elif one.required:
                self.add_error(f"map_{one.name}", f"Choose the column that holds “{one.title}”.")
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

    def keep_upload(self) -> Upload | None:
        """The stored file, so that a form that comes back with an error does not ask for it again."""
        file = self.files.get("file")
        if file and not self.errors.get("file"):
            return Upload.keep(file, file.name, self.owner)
        return Upload.objects.filter(owner=self.owner, pk=self._upload_key()).first()
