"""Rows in and rows out: recognises files, reads them row by row, and writes results. No Django."""

from jobs.files.batching import batched
from jobs.files.columntypes import column_types, guess_type
from jobs.files.encoding import title as encoding_title
from jobs.files.formula import guard, unguard
from jobs.files.labels import KEY_COLUMNS, Name, naming
from jobs.files.lines import Readable
from jobs.files.payload import Picker, cells, columns_of
from jobs.files.pipe import Pipe
from jobs.files.preflight import REFUSED, Check, Findings, Group, Preflight, Problem, Report, preflight
from jobs.files.reading import Reader, Rows, open_rows, read, recognise, sheets
from jobs.files.shape import LIMITS, Limits, Partial, Reason, Row, Shape, Unreadable
from jobs.files.sniffing import sniff
from jobs.files.writers import (
    Result,
    Table,
    csv_chunk,
    csv_line,
    failed_chunk,
    failure_header,
    json_objects,
    jsonl_chunk,
    result_header,
)
from jobs.files.xlsx_writer import COLUMNS, workbook

__all__ = [
    "COLUMNS",
    "KEY_COLUMNS",
    "LIMITS",
    "REFUSED",
    "Check",
    "Findings",
    "Group",
    "Limits",
    "Name",
    "Partial",
    "Picker",
    "Pipe",
    "Preflight",
    "Problem",
    "Readable",
    "Reader",
    "Reason",
    "Report",
    "Result",
    "Row",
    "Rows",
    "Shape",
    "Table",
    "Unreadable",
    "batched",
    "cells",
    "column_types",
    "columns_of",
    "csv_chunk",
    "csv_line",
    "encoding_title",
    "failed_chunk",
    "failure_header",
    "guard",
    "guess_type",
    "json_objects",
    "jsonl_chunk",
    "naming",
    "open_rows",
    "preflight",
    "read",
    "recognise",
    "result_header",
    "sheets",
    "sniff",
    "unguard",
    "workbook",
]
