from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.failures import clip, describe


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I cannot be printed")


class Deadly(Exception):
    def __str__(self) -> str:
        raise SystemExit


class Named(Exception):
    failure_kind = "not storable"


class Misnamed(Exception):
    failure_kind = 42


class Trapped(Exception):
    @property
    def failure_kind(self) -> str:
        raise RuntimeError


class Sly(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_it_names_the_class() -> None:
    assert describe(ValueError("x")).kind == "ValueError"


def test_it_takes_the_kind_that_the_exception_names() -> None:
    assert describe(Named()).kind == "not storable"


@pytest.mark.parametrize(("error", "kind"), [(Misnamed(), "Misnamed"), (Trapped(), "Trapped")])
def test_it_ignores_a_kind_that_is_no_text(error: Exception, kind: str) -> None:
    assert describe(error).kind == kind


@pytest.mark.parametrize("error", [Mute(), Deadly()])
def test_it_survives_exceptions_that_cannot_be_printed(error: Exception) -> None:
    assert describe(raised(error)).message == f"<{type(error).__name__} that cannot be printed>"


def test_it_takes_the_text_out_of_sly_strings() -> None:
    assert describe(ValueError(Sly("x"))).message in ("x", "<ValueError that cannot be printed>")


def test_it_shows_where_it_happened() -> None:
    assert "raise error" in describe(raised(ValueError("x"))).trace


def test_it_keeps_the_message_short() -> None:
    failure = describe(raised(ValueError("ä" * 10_000)))
    assert len(failure.message.encode()) <= 2_000
    assert len(failure.trace.encode()) <= 8_000


@pytest.mark.parametrize("letter", ["a", "😀"])
def test_it_keeps_where_it_happened_whatever_the_message(letter: str) -> None:
    assert "in raised" in describe(raised(ValueError(letter * 20_000))).trace


def test_it_keeps_the_end_of_a_long_trace() -> None:
    assert describe(raised(ValueError("a" * 20_000 + " the end"))).trace.rstrip().endswith("the end")


def test_it_describes_deep_recursion() -> None:
    def dig() -> None:
        dig()

    with pytest.raises(RecursionError) as caught:
        dig()
    assert describe(caught.value).kind == "RecursionError"


@given(st.text(st.characters(), max_size=200), st.integers(3, 100), st.booleans())
def test_it_makes_text_that_databases_take(text: str, size: int, keep_end: bool) -> None:
    clipped = clip(text, size, keep_end=keep_end)
    assert len(clipped.encode()) <= size
    assert "\0" not in clipped


def test_it_replaces_what_databases_refuse() -> None:
    assert clip("a\0b\ud800c", 100) == "a␀b\ufffdc"
