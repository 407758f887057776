"""How numbers, times and states are written on pages, before any script runs.

`static/jobs/js/format.js` writes the same in the browser; `tests/js/cases.json` holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final, Literal

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.files import Shape, encoding_title
from jobs.humanize import counted, half_up, units, written
from jobs.models.reason import Code

register = template.Library()

NONE: Final = "–"
READABLE: Final = 30  # attempts a second that can all be shown
# In this order from the left of a bar; what waits, or was not attempted, is its background.
SEGMENTS: Final = ("succeeded", "failed", "rejected", "running", "retrying")
BAR: Final = 1000  # units of a bar's width
THINNEST: Final = 3  # units that one item in a million still gets


@register.filter
def number(value: float | Literal[""] | None) -> str:
    """1234567 → 1,234,567; one digit behind the point below ten. Django gives "" for what is not there."""
    if value is None or value == "":
        return NONE
    if value < 10 and value != int(value):
        return f"{half_up(value * 10) / 10:g}"
    return f"{half_up(value):,}"


@register.filter
def compact(value: int | None) -> str:
    """76467 → 76.5k, so that a figure keeps its width."""
    if value is None or value < 10_000:
        return number(value)
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value * 10 // size / 10:g}{letter}"
    return number(value)


@register.simple_tag
def contact() -> str:
    """Whom to ask, as part of a sentence."""
    return str(settings.CONTACT)


@register.simple_tag
def percent(part: int, total: int) -> str:
    """An honest percentage without its sign: never 100 before the end, never 0 once something is done."""
    if not total:
        return NONE
    if part >= total:
        return "100"
    tenths = part * 1000 // total
    if part and not tenths:
        return "<0.1"
    return f"{tenths / 10:.1f}" if tenths else "0"


@register.simple_tag
def share(part: int, total: int) -> str:
    """A part of the whole, rounded, but never to nothing or to all of it."""
    if not part or not total:
        return ""
    if part >= total:
        return "100 %"
    tenths = min(999, half_up(part * 1000 / total))
    return f"{tenths / 10:.1f} %" if tenths else "<0.1 %"


@register.filter
def duration(seconds: float | Literal[""] | None) -> str:
    """11 ms, 4.2 s, 1 min 44 s, 2 h 5 min, 3 d 4 h."""
    return NONE if seconds is None or seconds == "" else written(seconds)


@register.filter
def left(eta: float | None) -> str:
    """Time left in steps so coarse that it does not flicker."""
    if eta is None:
        return ""
    if eta < 5:
        return "a few seconds left"
    for below, step in ((20, 5), (120, 10), (900, 60), (3_600, 300), (86_400, 600), (math.inf, 3_600)):
        if eta < below:
            return f"about {units(max(step, half_up(eta / step) * step))} left"
    return ""


@register.filter
def sample(rate: float | None) -> str:
    """What the newest attempts are: all of them, or some where more finish than anybody reads."""
    if rate is None or rate <= READABLE:
        return "The newest attempts, as they finish"
    return f"A fresh sample each second – {number(rate)} finish per second"


@register.filter
def parts(counts: Mapping[str, int], total: int) -> list[dict[str, Any]]:
    """The coloured parts of a bar that is 1000 units wide. The widest one gives what keeps the others visible."""
    shown = {state: counts[state] for state in SEGMENTS}
    shown["rest"] = counts["waiting"] - counts["retrying"] + counts["not_attempted"]
    widths = {state: max(THINNEST, half_up(n * BAR / total)) if n and total else 0 for state, n in shown.items()}
    if any(widths.values()):
        widths[max(widths, key=widths.__getitem__)] += BAR - sum(widths.values())
    starts = dict(zip(widths, accumulate(widths.values(), initial=0), strict=False))
    return [{"state": state, "x": starts[state], "width": widths[state]} for state in SEGMENTS]


@register.simple_tag
def tone(job: Mapping[str, Any]) -> str:
    """The colour of the badge of a job (a frame, or a row of the list): its state, or what went wrong in the end."""
    counts, state = job["counts"], str(job["state"])
    if state != "finished" or not (counts["failed"] or counts["rejected"]):
        return "throttled" if job["reason"]["code"] == Code.THROTTLED else state
    return "mixed" if counts["succeeded"] else "failed"


@register.filter
def row_note(row: Mapping[str, Any]) -> str:
    """What stands beside the percentage of a job in the list: how long it takes, took, or why it does not go on."""
    counts = row["counts"]
    if row["state"] == "finished":
        return f"took {duration(row['elapsed'])}" if row["elapsed"] is not None else ""
    if row["state"] == "cancelled":
        return f"{counts['not_attempted']:,} not attempted" if counts["not_attempted"] else ""
    if row["state"] == "paused":
        return f"{counts['waiting'] + counts['running']:,} left"
    return left(row["eta"]) or str(row["why"])


@register.simple_tag
def ratio(part: int, total: int) -> int:
    """The width of one part of a bar."""
    return min(BAR, max(THINNEST, half_up(part * BAR / total))) if part and total else 0


@register.filter
def where(cause: Mapping[str, Any]) -> str:
    """Which rows failed for a cause."""
    first, last = cause["first"], cause["last"]
    return f"row {number(first)}" if first == last else f"rows {number(first)} to {number(last)}"


@register.filter
def accepted_part(cause: Mapping[str, Any]) -> str:
    """How many items of a cause are accepted, where some are and others are not."""
    accepted = cause["accepted"]
    return f"{accepted:,} accepted" if 0 < accepted < cause["count"] else ""


@register.filter
def by_settled(causes: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Causes of which something is left to do, and those that are accepted as a whole."""
    parts: dict[str, list[Mapping[str, Any]]] = {"open": [], "settled": []}
    for cause in causes:
        parts["settled" if cause["accepted"] >= cause["count"] else "open"].append(cause)
    return parts


@register.filter
def at(values: Sequence[Any] | Literal[""] | None, place: int) -> Any:
    """What stands at a place of a list; None where it is shorter."""
    return values[place] if values and place < len(values) else None


@register.filter
def moment(seconds: float | Literal[""] | None) -> datetime | None:
    """Seconds since the epoch as a date."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


@register.filter
def same(value: str, other: str) -> bool:
    """Whether both are equal, for an include that takes no comparison."""
    return value == other


@register.filter
def words(text: str) -> list[str]:
    return text.split()


@register.filter
def key(mapping: Mapping[str, Any], name: str) -> Any:
    """The entry called `name`; Django's own dot cannot look up by a variable."""
    return mapping[name]


DELIMITERS: Final = {",": "comma-separated", ";": "semicolon-separated", "\t": "tab-separated", "|": "separated by |"}
FORMATS: Final = {
    "jsonl": "JSON Lines", "json": "JSON", "xlsx": "Excel workbook", "text": "one item a line", "csv": "CSV",
    "tsv": "tab-separated",
}  # fmt: skip


@register.filter
def chips(shape: Shape) -> list[str]:
    """What was understood of a file, in a few words each."""
    words = [counted(len(shape.columns), "column")]
    words.append(DELIMITERS.get(shape.delimiter) or FORMATS.get(shape.format, shape.format))
    words += [f"sheet {shape.sheet}"] if shape.sheet else [encoding_title(shape.encoding)]
    words += [f"rows in {shape.path}"] if shape.path else []
    words += ["in gzip"] if shape.compression else []
    if shape.tabular and shape.format != "text":
        words.append("first row is the header" if shape.header else "no header")
    return words


@register.inclusion_tag("components/bar.html")
def bar(counts: Mapping[str, int], total: int, name: str = "") -> dict[str, Any]:
    """A stacked bar. With a name it is a progress bar to screen readers, without one it is decoration."""
    done = counts["succeeded"] + counts["failed"] + counts["rejected"]
    return {"parts": parts(counts, total), "name": name, "now": done * 100 // total if total else 0}


@register.inclusion_tag("components/badge.html")
def badge(state: str, label: str) -> dict[str, str]:
    return {"state": state, "label": label}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite. It never stands for a word alone, so screen readers pass over it."""
    sprite = static("jobs/img/icons.svg")
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)
