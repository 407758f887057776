"""Each format, encoding, newline and oddity: what was written is what is read, and what is counted."""

from __future__ import annotations

import io
import json

import pytest

from jobs.files import preflight, read, recognise
from tests.files.corpus import Case, Endless, cases, opened, values

CORPUS = list(cases())


@pytest.mark.parametrize("case", CORPUS, ids=repr)
def test_it_reads_what_was_written(case: Case) -> None:
    assert values(case.data, case.name) == case.values


@pytest.mark.parametrize("case", CORPUS, ids=repr)
def test_it_counts_what_is_read(case: Case) -> None:
    report = preflight(io.BytesIO(case.data), case.name)

    assert (report.rows, report.bad_total) == (len(case.values), 0)


@pytest.mark.parametrize("case", CORPUS, ids=repr)
def test_it_reads_the_same_from_a_stored_shape(case: Case) -> None:
    stream = io.BytesIO(case.data)
    shape = recognise(stream, case.name)

    stored = type(shape).from_dict(json.loads(json.dumps(shape.to_dict())))

    assert [json.loads(row.payload) for row in read(stream, stored)] == case.values


@pytest.mark.parametrize("case", CORPUS[::5], ids=repr)
def test_it_reads_the_same_from_a_stream_that_cannot_go_back(case: Case) -> None:
    forward = Endless(case.data, b" ", len(case.data))

    assert preflight(forward, case.name).rows == len(case.values)


@pytest.mark.parametrize("case", [case for case in CORPUS[::5] if not case.name.startswith("a.txt")], ids=repr)
def test_it_does_not_need_the_name(case: Case) -> None:
    assert opened(case.data).shape.format == opened(case.data, case.name).shape.format
