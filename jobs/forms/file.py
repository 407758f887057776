"""The file of a job: chosen, pasted, or kept from before; and how it is to be read where that is not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any, Final, cast

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile, File
from django.db.models import Exists, OuterRef, Q, QuerySet

from jobs import files
from jobs.files.shape import Given
from jobs.humanize import number
from jobs.ingest import inspection
from jobs.models import Job, Upload
from jobs.models.quota_limits import OverQuota

OPTIONS: Final = ("format", "encoding", "delimiter", "header", "sheet")
OTHER: Final = "other"
FORMATS: Final = (
    ("csv", "CSV"), ("tsv", "TSV"), ("jsonl", "JSON Lines"), ("json", "JSON array"), ("xlsx", "Excel workbook"),
    ("text", "One item a line"),
)  # fmt: skip
ENCODINGS: Final = (
    "utf-8", "utf-16", "cp1252", "iso8859-1", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5",
    "euc_kr", "euc_jp", "koi8-r",
)  # fmt: skip
DELIMITERS: Final = ((",", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Bar |"), (OTHER, "Other …"))
HEADERS: Final = (("yes", "Yes"), ("no", "No"))
GONE: Final = "The file is not here any more. Choose it again."


def readable_uploads(person: User) -> QuerySet[Upload]:
    """The files that this person may look into: their own, and those of jobs that they may see."""
    seen = Job.objects.visible_to(person).filter(upload=OuterRef("pk"))
    return Upload.objects.exclude(file="").filter(Q(owner=person) | Q(Exists(seen)))


def upload_for(person: User, key: str) -> Upload | None:
    """The file with this primary key, if this person may look into it. It is kept for another hour."""
    found = readable_uploads(person).filter(pk=number(key) or 0)
    Upload.objects.filter(pk__in=found.values("pk")).use()
    return found.first()


def options_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The fields of the options as they were sent."""
    names = [f"file_{name}" for name in (*OPTIONS, "delimiter_other")]
    return {name: str(data[name])[:200] for name in names if name in data}


def given_by(data: Mapping[str, Any]) -> Given:
    """What a person says about the file; what is left to be guessed is not in it."""
    sent = options_of(data)
    options = {name: sent.get(f"file_{name}", "") for name in OPTIONS}
    if options["delimiter"] == OTHER:
        options["delimiter"] = sent.get("file_delimiter_other", "")
    given: dict[str, Any] = {name: text for name, text in options.items() if text and name != "header"}
    if options["header"] in ("yes", "no"):
        given["header"] = options["header"] == "yes"
    return cast(Given, given)


def pasted_file(text: str) -> File[bytes]:
    """Rows that were typed or pasted, as a file; from a spreadsheet they come with tabs."""
    name = "pasted rows.tsv" if "\t" in text else "pasted rows.txt"
    return ContentFile(text.encode("utf-8", "replace"), name=name)


def option_field(label: str, choices: Sequence[tuple[str, str]], automatic: str = "Recognise it") -> forms.CharField:
    """A select. What is chosen is judged when the file is read under it, and not against the list."""
    widget = forms.Select(choices=[("", automatic), *choices])
    return forms.CharField(label=label, required=False, strip=False, widget=widget)


class FileFields(forms.Form):
    """The file and its options.

    `shape` says how it is read, `trouble` why it cannot be, and `wrong` which option was left out since it cannot be.
    """

    upload = forms.CharField(required=False, widget=forms.HiddenInput)
    file = forms.FileField(required=False, allow_empty_file=True, max_length=5_000)
    pasted = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    file_format = option_field("Format", FORMATS)
    file_encoding = option_field("Encoding", [(codec, files.encoding_title(codec)) for codec in ENCODINGS])
    file_delimiter = option_field("Delimiter", DELIMITERS)
    file_delimiter_other = forms.CharField(
        label="Other delimiter", required=False, strip=False, widget=forms.TextInput(attrs={"maxlength": 1, "size": 3})
    )
    file_header = option_field("First row is the header", HEADERS, "Guess")
    file_sheet = option_field("Sheet", (), "The first with rows")

    owner: User

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kept: Upload | None = None
        self.shape: files.Shape | None = None
        self.trouble = ""
        self.wrong: dict[str, str] = {}
        self.offer("encoding", [str(self["file_encoding"].value() or "")])

    @cached_property
    def sent(self) -> File[bytes] | None:
        """The file that came with the form, or that is made of the rows that were pasted into it."""
        file: File[bytes] | None = self.files.get("file")
        text = self.data.get("pasted", "")
        return pasted_file(text) if file is None and text.strip() else file

    def offer(self, option: str, values: Sequence[str]) -> None:
        """Adds choices to an option's select."""
        widget = cast(forms.Select, self.fields[f"file_{option}"].widget)
        known = {value for value, _ in widget.choices}
        title = files.encoding_title if option == "encoding" else str
        widget.choices = [*widget.choices, *((each, title(each)) for each in values if each not in known)]

    def blame(self, wrong: Mapping[str, str]) -> None:
        """Marks the options that cannot be: option → sentence."""
        self.wrong = dict(wrong)
        for name in map(self.field_of, wrong):
            self.fields[name].widget.attrs |= {"aria-invalid": "true", "aria-describedby": f"id_{name}_error"}

    def field_of(self, option: str) -> str:
        """The field in which an option was said."""
        other = option == "delimiter" and self["file_delimiter"].value() == OTHER
        return f"file_{option}_other" if other else f"file_{option}"

    @property
    def option_fields(self) -> list[tuple[forms.BoundField, str]]:
        """The options with what is wrong about each; a sheet can be chosen where there are some."""
        names = [f"file_{name}" for name in OPTIONS if name != "sheet"]
        names.insert(3, "file_delimiter_other")
        sheets = cast(forms.Select, self.fields["file_sheet"].widget)
        names += ["file_sheet"] if len(list(sheets.choices)) > 1 else []
        wrong = {self.field_of(option): sentence for option, sentence in self.wrong.items()}
        return [(self[name], wrong.get(name, "")) for name in names]

    @property
    def opened(self) -> bool:
        """Whether something stands in the options."""
        return bool(self.wrong) or any(field.value() for field, _ in self.option_fields)

    def recognise(self) -> None:
        """Looks at the file, since the columns to choose from are in it."""
        self.kept = upload_for(self.owner, str(self.data.get("upload", "")))
        try:
            self._recognise()
        except files.Unreadable as error:
            self.trouble = str(error)
        except FileNotFoundError:
            self.kept, self.trouble = None, GONE

    def _recognise(self) -> None:
        if self.sent:
            self._look(self.sent, str(self.sent.name), self.sent.size)
        elif self.kept:
            with closing(self.kept.opened()) as stored:
                self._look(stored, self.kept.name, self.kept.size)
        else:
            self.trouble = GONE if self.data.get("upload") else "Choose a file."

    def _look(self, stream: Any, name: str, size: int) -> None:
        self.take(inspection.of_file(stream, name, given_by(self.data), size, self.owner.pk))

    def take(self, found: inspection.Inspection) -> None:
        """Remembers how the file is read, and what can be chosen in it."""
        self.shape = found.shape
        self.blame(found.wrong)
        self.offer("sheet", found.sheets)

    def clean_file(self) -> File[bytes] | None:
        file: File[bytes] | None = self.cleaned_data.get("file")
        limit = settings.JOBS_MAX_UPLOAD_BYTES
        if file and file.size > limit:
            raise forms.ValidationError(f"The file has {file.size:,} bytes; up to {limit:,} can be sent here.")
        return file

    def keep_upload(self) -> Upload | None:
        """Stores the file, so that a form that comes back with an error does not ask for it again."""
        if self.sent and not self.trouble and not self.errors.get("file"):
            try:
                self.kept = Upload.keep(self.sent, str(self.sent.name), self.owner)
            except OverQuota as refusal:
                self.kept, self.trouble = None, str(refusal)
                self.add_error("file", self.trouble)
        return self.kept
