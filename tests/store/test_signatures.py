"""Which failures are alike: the same error about another item is, another error is not."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.store.signatures import LONGEST, TITLE, normalised, signature, top_frame

WHOLE = st.integers(-(10**12), 10**12)
NUMBERS = st.one_of(
    WHOLE.map(str),
    WHOLE.map("{:,}".format),
    WHOLE.map("{:_}".format),
    WHOLE.map("{:+}".format),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e6, 1e6).map("{:.3f}".format),
    st.floats(-1e6, 1e6).map("{:,.2f}".format),
    st.floats(-1e6, 1e6).map("{:e}".format),
    WHOLE.map(hex),
)
UNITS = st.sampled_from(("ns", "us", "µs", "ms", "s", " ms", " s", "h", "kB", " MB", "GiB", "%", " seconds"))
HEX = st.text("0123456789abcdef", min_size=8, max_size=64)
INSIDE = st.text(string.ascii_letters + " .,:;-/()=äß0123456789", max_size=40)
QUOTED = st.one_of(
    INSIDE.map(repr), INSIDE.map('"{}"'.format), INSIDE.map("“{}”".format), INSIDE.map("`{}`".format),
    INSIDE.map(lambda text: repr(text.encode())),
)  # fmt: skip
WHERE = st.one_of(
    st.from_regex(r"https?://[a-z]{1,9}\.example(/[a-z0-9]{1,9}){0,3}(\?q=[a-z0-9%]{1,9})?", fullmatch=True),
    st.from_regex(r"[a-z.]{1,9}[a-z]@[a-z]{1,9}\.example", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda address: address != "::"),
    st.from_regex(r"/(tmp|home|data)(/[a-z0-9_]{1,9}){1,4}\.(csv|json)", fullmatch=True),
    st.from_regex(r"[C-F]:(\\[a-z0-9_]{1,9}){1,4}", fullmatch=True),
)
MOMENTS = st.datetimes().flatmap(
    lambda at: st.sampled_from(
        (at.isoformat(), at.isoformat(" "), f"{at.isoformat()}Z", f"{at.isoformat()}+02:00", str(at.date()),
         str(at.time()), f"{at:%H:%M}", f"{at:%a, %d %b %Y %H:%M:%S} GMT", f"{at:%d %b %Y}")
    )
)  # fmt: skip
SENTENCES = ("row {} is bad", "took too long ({})", "expected less than {}, sorry", "no such thing: {}", "{}")
WORDS = st.text(string.ascii_lowercase, min_size=2, max_size=9).filter(lambda word: not re.fullmatch("[a-f]+", word))


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(
    "values",
    [NUMBERS, st.tuples(WHOLE, UNITS).map(lambda pair: f"{pair[0]}{pair[1]}"), HEX, st.uuids().map(str), QUOTED, WHERE,
     MOMENTS],
    ids=["numbers", "units", "hashes", "uuids", "quotes", "addresses", "moments"],
)  # fmt: skip
def test_it_takes_the_same_error_about_another_item_for_one_cause(
    values: st.SearchStrategy[str], sentence: str
) -> None:
    @given(values, values)
    def alike(one: str, other: str) -> None:
        assert normalised(sentence.format(one)) == normalised(sentence.format(other))

    alike()


@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, min_size=1, max_size=8))
def test_it_tells_messages_of_other_words_apart(one: list[str], other: list[str]) -> None:
    assert (signature("E", " ".join(one)) == signature("E", " ".join(other))) == (one == other)


@given(st.lists(st.one_of(WORDS, NUMBERS, QUOTED), min_size=1, max_size=8))
def test_it_says_the_same_of_what_it_has_made(parts: list[str]) -> None:
    made = normalised(" ".join(parts))
    assert normalised(made) == made


@given(st.text(max_size=3_000))
def test_it_survives_every_text(text: str) -> None:
    made = normalised(text)
    assert len(made) <= TITLE
    assert not re.search("[0-9\n]", made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("first line\nsecond", "first line\nthird"),
        ("object at 0x7f0a", "object at 0x7f0b"),
        ("id deadbeef01 gone", "id 0123456789abcdef gone"),
        ("order QX17 is gone", "order ZB23 is gone"),
        ("request req_8dJk2h failed", "request req_x9Lq0z failed"),
        ("can't read 'a' of row 3", "can't read 'it's b' of row 4"),
        ("rows 1, 2, 3 differ", "rows 1, 2 differ"),
        ("GET /users/17/orders failed", "GET /users/18/orders failed"),
        ("no answer from 10.0.0.1:8080", "no answer from 10.0.0.2:9090"),
        ("no answer from ab:cd:ef:01:02:03", "no answer from 00:00:5e:00:53:af"),
        (f"bad text '{'x' * 2_100}", f"bad text '{'y ' * 1_900}"),
        (f"bad text '{'x' * 900}…", f"bad text '{'y ' * 400}…"),
        ("  much   room ", "much room"),
    ],
)
def test_it_takes_two_failures_for_one_cause(one: str, other: str) -> None:
    assert signature("E", one) == signature("E", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("E", "a"), ("F", "a")),
        (("E", "a"), ("E", "b")),
        (("E", "a"), ("Ea", "")),
        (("E", "a", "f in x.py"), ("E", "a", "g in x.py")),
        (("E", "can't read the file"), ("E", "can't write the file")),
        (("E", "rock 'n roll is over"), ("E", "rock 'n roll has begun")),
        (("E", "user17 is gone"), ("E", "order17 is gone")),
        (("E", "GET /users/17 failed"), ("E", "GET /orders/17 failed")),
        (("E", "sha256 is wrong"), ("E", "crc32 is wrong")),
        (("E", "std::vector is empty"), ("E", "std::map is empty")),
    ],
)
def test_it_tells_two_causes_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert signature(*one) != signature(*other)


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("  no row 17 in 'a.csv'\nmore", "no row … in …"),
        ("expected 3 columns, got 4", "expected … columns, got …"),
        ("The page answered 404 Not Outcomes.", "The page answered … Not Outcomes."),
        ("Took longer than 0.5 seconds.", "Took longer than …."),
        ("it's Anna's turn, isn't it", "it's Anna's turn, isn't it"),
    ],
)
def test_it_titles_a_cause_without_what_differs(message: str, title: str) -> None:
    assert normalised(message) == title


# What a hostile message may be made of; each is repeated until the message is as long as the engine lets it be.
PIECES = (
    "'", '"', "`", "'a ", "a'b", "\\", "'\\", "“„", "b'", "1", "1,", "1.", "1 ", "000 ", "1e", "1:", "12:34", "a1",
    "0x", "a", "aA", "deadbeef-", "a-", "a.b@", "@", "://", "https://", "/", "/a", "~.", ":", "::", "a:", "jan ",
    "mon ", "1 jan ", "+-", "…", "… ", "%", " ms", "é", "_",
)  # fmt: skip


def calls_for(message: str) -> int:
    """How many steps of Python it takes, whatever the machine does beside."""
    steps = 0

    def count(frame: Any, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        normalised(message)
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize("piece", PIECES)
def test_it_takes_no_more_steps_than_a_message_has_characters(piece: str) -> None:
    assert calls_for(piece * (LONGEST // len(piece))) < 20 * LONGEST


@pytest.mark.parametrize("piece", PIECES)
def test_it_looks_at_a_megabyte_of_nothing_as_at_a_message(piece: str) -> None:
    """A pattern that goes back and forth would be at it for hours."""
    for text in (piece * 1_000_000, piece * LONGEST + "x", "x" + piece * LONGEST):
        assert len(normalised(text)) <= TITLE


TRACE = """Traceback (most recent call last):
  File "/srv/batchweb/jobs/processors/call.py", line 88, in __call__
    return encode(processor.process(typed, context), self.limit)
  File "/home/anna/plugins/fix.py", line {}, in look_up
    raise LookupError({!r})
LookupError: {}
"""


def test_it_names_the_innermost_function_without_its_line() -> None:
    assert top_frame(TRACE.format(17, "gone", "gone")) == "look_up in fix.py"
    assert top_frame(TRACE.format(18, "gone", "gone")) == "look_up in fix.py"


def test_it_knows_files_of_windows_and_code_without_a_name() -> None:
    assert top_frame('  File "C:\\work\\fix.py", line 3, in <lambda>\n') == "<lambda> in fix.py"


def test_it_has_no_frame_where_there_is_no_trace() -> None:
    assert top_frame("") == top_frame("Traceback") == ""


def test_it_takes_the_last_error_of_a_chain() -> None:
    chain = TRACE.format(1, "a", "a") + "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert top_frame(f'{chain}  File "b.py", line 2, in later\nKeyError: 1\n') == "later in b.py"


def test_it_believes_no_frame_in_a_message() -> None:
    message = 'no\n  File "evil.py", line 1, in evil\nmore'
    assert top_frame(TRACE.format(1, message, message), message) == "look_up in fix.py"


def test_it_cuts_a_long_name() -> None:
    assert len(top_frame(f'  File "x.py", line 1, in {"f" * 900}\n')) == 200
