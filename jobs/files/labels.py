"""What an item is called: its label on pages, and the key under which its result is found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jobs.files.payload import cell_text, fields_of, harmless
from jobs.files.shape import Shape

Name = Callable[[Any], tuple[str, str]]

KEY_COLUMNS = ("custom_id", "id", "key")  # where a row's key is looked for, unless somebody chose a column
LONGEST = 200  # characters of a label or a key


def naming(shape: Shape, label: str, keys: Sequence[str]) -> Name:
    """A function from the value of a good row to its label and key.

    The label is in the column `label`, or in the first one where that is missing or empty; the key in the first of the
    columns `keys` that has something to say, else it is empty.
    """
    return _by_place(shape.columns, label, keys) if shape.tabular else _by_name(label, keys)


def _by_place(columns: Sequence[str], label: str, keys: Sequence[str]) -> Name:
    # Looked up once, and not for each of a million rows.
    at = columns.index(label) if label in columns else 0
    places = [columns.index(key) for key in keys if key in columns]

    def name(cells: Sequence[str]) -> tuple[str, str]:
        for place in places:
            if cells[place]:
                return (cells[at] or cells[0])[:LONGEST], cells[place][:LONGEST]
        return (cells[at] or cells[0])[:LONGEST], ""

    return name


def _by_name(label: str, keys: Sequence[str]) -> Name:
    def name(value: Any) -> tuple[str, str]:
        fields = fields_of(value)
        shown = fields.get(label) or next(iter(fields.values()), "")
        return _short(shown), _short(next((fields[key] for key in keys if fields.get(key)), ""))

    return name


def _short(value: Any) -> str:
    return harmless((value if isinstance(value, str) else cell_text(value))[:LONGEST])
