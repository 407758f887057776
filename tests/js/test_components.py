"""The pieces that templates are made of."""

from __future__ import annotations

from django.template.loader import render_to_string

from jobs.files import Shape
from jobs.templatetags import display

COUNTS = {
    "succeeded": 6, "failed": 2, "rejected": 0, "running": 1, "waiting": 1, "retrying": 0, "not_attempted": 0,
    "fallback": 0,
}  # fmt: skip


def test_it_draws_a_named_bar_as_progress() -> None:
    html = render_to_string("components/bar.html", display.bar(COUNTS, 10, "Items done"))
    assert 'role="progressbar" aria-label="Items done"' in html
    assert 'aria-valuenow="80"' in html


def test_it_hides_a_bar_without_a_name_from_screen_readers() -> None:
    html = render_to_string("components/bar.html", display.bar(COUNTS, 10))
    assert 'aria-hidden="true"' in html
    assert "progressbar" not in html


def test_it_writes_widths_without_inline_styles() -> None:
    html = render_to_string("components/bar.html", display.bar(COUNTS, 10))
    assert 'data-state="failed" x="600" width="200"' in html
    assert "style" not in html


def test_it_escapes_what_a_badge_says() -> None:
    html = render_to_string("components/badge.html", display.badge("failed", "<b>"))
    assert "&lt;b&gt;" in html


def test_it_points_to_an_icon_of_the_sprite() -> None:
    assert "/jobs/img/icons.svg#play" in display.icon("play")


def test_it_says_what_was_understood_of_a_file() -> None:
    shape = Shape("csv", "utf-8-sig", ";", True, ("a", "b"))
    assert display.chips(shape) == ["2 columns", "semicolon-separated", "UTF-8", "first row is the header"]


def test_it_says_what_was_understood_of_plain_text() -> None:
    assert display.chips(Shape("text", "utf-8", "", False, ("text",))) == ["1 column", "one item a line", "UTF-8"]


def test_it_says_what_was_understood_of_a_workbook() -> None:
    shape = Shape("xlsx", "utf-8", "", True, ("a", "b"), compression="gzip", sheet="May")
    assert display.chips(shape) == ["2 columns", "Excel workbook", "sheet May", "in gzip", "first row is the header"]


def test_it_says_what_was_understood_of_a_document() -> None:
    shape = Shape("json", "cp1252", columns=("a",), path="data")
    assert display.chips(shape) == ["1 column", "JSON", "Windows-1252", "rows in data"]


def test_it_keeps_the_bar_of_a_rare_cause_visible() -> None:
    assert (display.ratio(1, 1_000_000), display.ratio(5, 5), display.ratio(0, 0)) == (3, 1000, 0)
