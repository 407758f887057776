"""The form that corrects one row of a job."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms

from jobs import files
from jobs.files.jsonlines import has_too_many
from jobs.models import Item

CELL: Final = "cell_"
TALLEST: Final = 12  # lines of a field before it scrolls
LARGEST: Final = 1_000_000  # bytes of a row that can be sent back
MOST: Final = 300  # columns in one form


def fingerprint(payload: str) -> str:
    """What a payload is recognised by."""
    return hashlib.sha256(payload.encode("utf-8", "replace")).hexdigest()[:32]


class EditForm(forms.Form):
    """A field for each cell, those first that the processor uses; `seen` is what the payload was when it was shown."""

    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, item: Item, old: Mapping[str, str], data: Any = None) -> None:
        """`old` are the cells of the item by column, as they are now."""
        sent: Any = None if data is None else data.copy()
        super().__init__(sent, initial={"seen": fingerprint(item.payload)})
        self.sent = sent
        self.item, self.old = item, old
        self.mapped = set(item.job.mapping.values())
        self.columns = {f"{CELL}{item.job.columns.index(column)}": column for column in shown(item, self.mapped)}
        for name, column in self.columns.items():
            self.fields[name] = forms.CharField(
                required=False, strip=False, label=column, initial=old[column],
                widget=forms.Textarea(attrs={"rows": lines(old[column]), "dir": "auto", "autocomplete": "off"}),
            )  # fmt: skip
        self.theirs: dict[str, str] = {}

    @property
    def cell_fields(self) -> list[dict[str, Any]]:
        """Each field, whether the processor uses it, and what somebody else made of it meanwhile."""
        return [
            {"field": self[name], "used": column in self.mapped, "theirs": self.theirs.get(column)}
            for name, column in self.columns.items()
        ]

    @property
    def raw(self) -> str:
        """The text of a line that could not be read."""
        if self.item.job.file_shape.tabular or fields_of(self.item).intersection(self.item.job.columns):
            return ""
        return str(json.loads(self.item.payload)) if self.item.payload.startswith('"') else self.item.payload

    @property
    def rest(self) -> int:
        """How many columns have no field here."""
        return len(self.item.job.columns) - len(self.columns)

    @property
    def cells(self) -> dict[str, str]:
        """What the person wants in the cells that were sent."""
        wanted = {column: self.cleaned_data.get(name) for name, column in self.columns.items() if name in self.data}
        return {column: written(text, self.old[column]) for column, text in wanted.items() if text is not None}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.cleaned_data = data
        if "seen" in data and data["seen"] != fingerprint(self.item.payload):
            self.overtaken()
        return data

    def overtaken(self) -> None:
        """Somebody else fixed the row: it is shown beside what was typed, and who sends that again has seen both."""
        self.theirs = {column: self.old[column] for column, text in self.cells.items() if text != self.old[column]}
        self.sent["seen"] = fingerprint(self.item.payload)
        self.add_error(
            None,
            "Somebody else edited this row meanwhile. What you typed is still here, and under it what it holds now.",
        )


def shown(item: Item, mapped: set[str]) -> list[str]:
    """The columns that have a field: those of a table, or what a JSON object has; those in use come first."""
    columns = list(item.job.columns)
    if not item.job.file_shape.tabular:
        has = fields_of(item).intersection(columns)
        columns = [column for column in columns if column in has or column in mapped] if has else columns
    return sorted(columns, key=lambda column: column not in mapped)[:MOST]


def fields_of(item: Item) -> set[str]:
    """The names in a JSON payload; none where it is not JSON, or too large to be taken apart."""
    if not item.job.file_shape.tabular and has_too_many(item.payload):
        return set()
    try:
        return set(files.columns_of(item.payload, item.job.file_shape))
    except ValueError:
        return set()


def lines(text: str) -> int:
    return min(TALLEST, 1 + text.count("\n") + len(text) // 90)


def written(text: str, old: str) -> str:
    """What came out of a browser, which ends each line with two characters, in the way that the cell had it."""
    if plain(text) == plain(old):
        return old
    return plain(text).replace("\n", "\r\n" if "\r\n" in old else "\n")


def plain(text: str) -> str:
    return re.sub("\r\n?", "\n", text)
