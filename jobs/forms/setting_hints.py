"""What the settings of a job mean for its file, in a sentence each. Pure arithmetic."""

from __future__ import annotations

from itertools import islice
from typing import Final

from jobs.engine import Policy
from jobs.engine.backoff import ceiling
from jobs.engine.pace import whole
from jobs.humanize import SHORT, about, counted, given, many, span, written
from jobs.models.failure_limit import Limit

FIELDS: Final = (
    "workers", "rate", "attempts", "timeout", "limit_share", "limit_sample", "limit_count", "limit_streak"
)  # fmt: skip
ASSUMED: Final = 1.0  # seconds that an item takes where nobody knows
WAITS: Final = 4  # waits that are named one by one


def hints(rows: int | None, seconds: float | None, policy: Policy, limit: Limit | None = None) -> dict[str, str]:
    """A sentence for each of FIELDS; `rows` of the file and typical `seconds` of an item are None where not known."""
    limit = limit or Limit()
    return {
        "workers": _workers(rows, seconds, policy),
        "rate": _rate(rows, policy),
        "attempts": _attempts(policy),
        "timeout": _timeout(seconds, policy),
        "limit_share": _share(rows, limit),
        "limit_sample": _sample(rows, limit),
        "limit_count": _count(rows, limit),
        "limit_streak": _streak(rows, policy, limit),
    }


def _workers(rows: int | None, seconds: float | None, policy: Policy) -> str:
    each = seconds or ASSUMED
    if rows is None:
        return f"{many(policy.workers / each)} a second at most, {_basis(seconds)}."
    if policy.rate and (rows - 1) / policy.rate > -(-rows // policy.workers) * each:
        return f"The starts per second decide: {about(whole(rows, each, policy))} for {counted(rows)}."
    time = about(whole(rows, each, policy))
    if seconds:
        return f"{time[0].upper()}{time[1:]} for {counted(rows)}, at the {written(seconds)} that one takes."
    return f"If one takes {given(each)}: {time} for {counted(rows)}."


def _basis(seconds: float | None) -> str:
    return f"at the {written(seconds)} that one takes" if seconds else f"if one takes {given(ASSUMED)}"


def _rate(rows: int | None, policy: Policy) -> str:
    if not policy.rate:
        return f"No limit: whenever one of {policy.workers:,} places is free, the next row starts."
    if rows is None:
        return f"{many(policy.rate * 3_600)} starts an hour at most, further attempts included."
    least = (rows - 1) / policy.rate
    return f"{rows:,} starts take at least {span(least)}." if least >= SHORT else "So few rows start in a few seconds."


def _attempts(policy: Policy) -> str:
    if policy.attempts == 1:
        return "Each row is tried once. What fails can be tried again later."
    waits = [ceiling(number, policy.backoff, policy.backoff_max) for number in range(1, policy.attempts)]
    named = ", ".join(map(given, islice(waits, WAITS))) + (" and so on" if len(waits) > WAITS else "")
    text = f"Waits up to {named} between the attempts"
    if policy.timeout is None:
        return f"{text}; without a timeout one row can take any time."
    return f"{text}; one row can take up to {given(sum(waits) + policy.attempts * policy.timeout)}."


def _timeout(seconds: float | None, policy: Policy) -> str:
    places = f"one of {policy.workers:,} places" if policy.workers > 1 else "the only place"
    if policy.timeout is None:
        return f"A row that hangs holds {places} for ever."
    if seconds and policy.timeout <= seconds:
        return f"Too short: one takes {written(seconds)}, so most would fail."
    ordinary = f" One takes {written(seconds)}." if seconds else ""
    return f"A row that hangs holds {places} for {given(policy.timeout)}.{ordinary}"


def _unlimited(rows: int | None, limit: Limit, however: str) -> str:
    if limit:
        return "No limit of this kind."
    many = f"all {rows:,} rows" if rows and rows > 1 else "all rows"
    return f"No limit: {many} are tried, however {however}."


def _share(rows: int | None, limit: Limit) -> str:
    if limit.share is None:
        return _unlimited(rows, limit, "large a share fails")
    if rows is not None and rows < limit.sample:
        return f"The file has only {counted(rows)}, so this never pauses it."
    soonest = int(limit.share * limit.sample / 100) + 1
    text = f"Pauses at the soonest when {soonest:,} of the first {limit.sample:,} fail"
    if rows is None:
        return f"{text}."
    return f"{text}; in the end up to {int(limit.share * rows / 100):,} of {rows:,} may."


def _sample(rows: int | None, limit: Limit) -> str:
    if limit.share is None:
        return "Says nothing without a share."
    if rows is not None and rows < limit.sample:
        return f"The file has only {counted(rows)}, so a share never counts."
    of_all = "" if rows is None else f" of {rows:,}"
    return f"Before {limit.sample:,}{of_all} were tried, a share does not count."


def _count(rows: int | None, limit: Limit) -> str:
    if limit.count is None:
        return _unlimited(rows, limit, "many fail")
    if rows is None:
        return f"Pauses at failure number {limit.count:,}."
    if limit.count > rows:
        return f"The file has only {counted(rows)}, so this never pauses it."
    return f"Pauses when {limit.count:,} of {counted(rows)} failed ({100 * limit.count / rows:.2g} %)."


def _streak(rows: int | None, policy: Policy, limit: Limit) -> str:
    if limit.streak is None:
        return _unlimited(rows, limit, "many in a row fail")
    row = f"when {limit.streak:,} in a row fail for one cause" if limit.streak > 1 else "at the first failure"
    return f"Pauses {row}; up to {policy.workers:,} more may be in flight then, and are recorded."
