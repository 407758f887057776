"""Which column is meant, seen from the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs import files
from jobs.ingest import labels
from jobs.processors import Processor


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


def automatic_label(processor: Processor, columns: Sequence[str], mapping: Mapping[str, str]) -> str:
    """The column that names an item where nobody chose one: that of the first required input, else the first."""
    known = {name: column for name, column in mapping.items() if column in columns}
    return labels.label_column(processor, known) or (columns[0] if columns else "")


def automatic_key(columns: Sequence[str]) -> str:
    """The column in which a row's key is looked for where nobody chose one; empty where there is none."""
    return next((column for column in files.KEY_COLUMNS if column in columns), "")
