"""Settings from variables: numbers and switches, and what is neither."""

from __future__ import annotations

import pytest

from batchweb.environment import decimal, switch, whole


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("SETTING", raising=False)
    return monkeypatch


def test_it_takes_the_default_where_nothing_is_set(named: pytest.MonkeyPatch) -> None:
    for text in (None, "", "  "):
        if text is not None:
            named.setenv("SETTING", text)
        assert (whole("SETTING", 4), decimal("SETTING", 0.5), switch("SETTING", True)) == (4, 0.5, True)


def test_empty_may_mean_something_else(named: pytest.MonkeyPatch) -> None:
    named.setenv("SETTING", "")
    assert whole("SETTING", 4, empty=0) == 0


@pytest.mark.parametrize(("text", "value"), [("12", 12), (" 12 ", 12), ("-1", -1), ("10_000", 10_000)])
def test_it_reads_whole_numbers(named: pytest.MonkeyPatch, text: str, value: int) -> None:
    named.setenv("SETTING", text)
    assert whole("SETTING", 4) == value


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("yes", True), ("0", False), ("Off", False)])
def test_it_reads_switches(named: pytest.MonkeyPatch, text: str, value: bool) -> None:
    named.setenv("SETTING", text)
    assert switch("SETTING", not value) is value


@pytest.mark.parametrize("text", ["many", "1.5", "1e3", "nan", "0x10", "9" * 5000])
def test_it_says_what_is_no_whole_number(named: pytest.MonkeyPatch, text: str) -> None:
    named.setenv("SETTING", text)
    with pytest.raises(SystemExit, match=f"^SETTING must be a whole number, not “{text[:40]}”.$"):
        whole("SETTING", 4)


@pytest.mark.parametrize("text", ["many", "nan", "inf", "1,5"])
def test_it_says_what_is_no_number(named: pytest.MonkeyPatch, text: str) -> None:
    named.setenv("SETTING", text)
    with pytest.raises(SystemExit, match="SETTING must be a number, not “"):
        decimal("SETTING", 0.5)


def test_it_says_what_is_neither_yes_nor_no(named: pytest.MonkeyPatch) -> None:
    named.setenv("SETTING", "maybe")
    with pytest.raises(SystemExit, match="SETTING must be 1 or 0, not “maybe”"):
        switch("SETTING", False)
