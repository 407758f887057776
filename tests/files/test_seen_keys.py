from __future__ import annotations

import io
import json
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from jobs.files import Preflight, Problem, open_rows, preflight
from jobs.files.seen_keys import Seen


@given(st.lists(st.sampled_from([f"key {n}" for n in range(40)]), max_size=200))
def test_it_knows_the_first_row_of_each_key(keys: list[str]) -> None:
    seen = Seen()

    found = [seen.add(key, row) for row, key in enumerate(keys, 1)]

    assert found == [0 if key not in keys[:at] else keys.index(key) + 1 for at, key in enumerate(keys)]


def test_it_remembers_many_keys_in_little_memory() -> None:
    seen = Seen()
    tracemalloc.start()
    try:
        assert not any(seen.add(f"key {n}", n) for n in range(1, 100_000))
        assert tracemalloc.get_traced_memory()[1] < 6_500_000
    finally:
        tracemalloc.stop()
    assert seen.add("key 7", 1) == 7


def test_it_lists_rows_of_the_same_key() -> None:
    found = Preflight(open_rows(io.BytesIO(b"id,q\n1,a\n2,b\n1,c\n2\n1,d\n"), "a.csv"))

    assert [problem for problem in found if not problem.bad] == [
        Problem(3, "duplicate key", "has the key 1, which row 1 has too"),
        Problem(5, "duplicate key", "has the key 1, which row 1 has too"),
    ]


def test_it_does_not_count_them_as_bad_rows() -> None:
    report = preflight(io.BytesIO(b"id,q\n1,a\n1,c\n2\n"), "a.csv")

    assert (report.bad_total, report.duplicates, [row for row, _ in report.bad]) == (1, 1, [3])


def test_it_goes_by_custom_id_where_there_is_one() -> None:
    lines = [{"custom_id": f"r-{n % 2}", "id": n, "body": {}} for n in range(3)]
    report = preflight(io.BytesIO("\n".join(map(json.dumps, lines)).encode()), "a.jsonl")

    assert report.groups[0].first[0].reason == "has the key r-0, which row 1 has too"


def test_it_goes_by_the_column_that_is_chosen() -> None:
    found = Preflight(open_rows(io.BytesIO(b"a,q\n1,x\n2,x\n"), "a.csv"), keys=["q"])

    assert [problem.row for problem in found] == [2]


def test_it_takes_no_key_for_none_the_same() -> None:
    assert preflight(io.BytesIO(b"id,q\n,a\n,b\n"), "a.csv").duplicates == 0
