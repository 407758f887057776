"""What the page of a job says, before any script runs; `static/jobs/js/format.js` says the same in the browser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from django import template

from jobs.humanize import counted, per_second, units
from jobs.live import job_list
from jobs.models import Worker
from jobs.models.reason import Code
from jobs.templatetags.display import NONE, compact, duration, left, number, percent, share, tone

register = template.Library()

TRIED: Final = 10  # rows that a trial takes unless the person says otherwise
OTHERS_WAIT: Final = "The other rows wait until you have seen what comes of it."
WITHOUT: Final = (Code.NO_WORKER, Code.WORKER_SILENT)
COUNTED: Final = ("succeeded", "failed", "rejected", "running", "waiting", "retrying", "not_attempted", "fallback")


def retry_label(frame: Mapping[str, Any]) -> str:
    """Those that somebody accepted are left out of it."""
    failed, rest = again(frame), frame["counts"]["not_attempted"]
    if failed and rest:
        return f"Retry {failed + rest:,} items"
    return f"Retry {failed:,} failed" if failed or not rest else f"Run {rest:,} not attempted"


def again(frame: Mapping[str, Any]) -> int:
    """How many failures a retry of all of them takes."""
    return max(0, int(frame["counts"]["failed"]) - int(frame.get("accepted", 0)))


def error_share(counts: Mapping[str, int]) -> str:
    tried = counts["succeeded"] + counts["failed"]
    if not tried:
        return NONE
    return share(counts["failed"], tried) or "0 %"


def before_start(counts: Mapping[str, int]) -> dict[str, str]:
    """What a job that is ready says and what its buttons say: before a trial, after one, and where no row can run."""
    tried, waiting, bad = counts["succeeded"] + counts["failed"], counts["waiting"], counts["rejected"]
    some = min(TRIED, waiting)
    if tried:
        start = "Run the rest" if waiting else "Finish"
        ends = "All rows are done. Press Finish to end the job."
        return {
            "ready": f"{counted(tried)} tried",
            "ready_note": f"{counted(waiting)} left. Press {start} to go on." if waiting else ends,
            "start": start,
            "start_short": "Run rest" if waiting else start,
            "try": f"Try {some} more",
            "try_short": f"Try {some}",
        }
    start = f"Leave {counted(bad)} out and start" if bad else "Start"
    wait = f"{counted(waiting)} {'waits' if waiting == 1 else 'wait'} for you to press Start."
    if bad:
        wait = f"{counted(waiting)} can run. {bad:,} cannot and {'is' if bad == 1 else 'are'} left out."
    return {
        "ready": "Ready to start" if waiting else "No row can run",
        "ready_note": wait if waiting else "Every row of this file is bad. The report says why.",
        "start": start,
        "start_short": "Start" if waiting else start,
        "try": f"Try {counted(some)}",
        "try_short": f"Try {some}",
    }


def headline(frame: Mapping[str, Any]) -> str:
    """What is said first of a job that runs: how long it still takes, or what it waits for."""
    counts = frame["counts"]
    if frame["trial"]:
        return f"Trying {counted(frame['trial'])}"
    if frame["throttled"]:
        return "Waiting for the service"
    if frame["eta"] is not None:
        return left(frame["eta"])
    if frame["reason"]["code"] in WITHOUT:
        return "Waiting for a worker"
    if frame["why"] and not counts["running"]:
        return "Waiting"
    return "Working" if counts["waiting"] or not counts["running"] else "Finishing"


def note(frame: Mapping[str, Any]) -> str:
    """What stands under it."""
    if frame["throttled"] and frame["state"] == "running":
        return f"The service asks to wait {units(math.ceil(frame['throttled']))}."
    return frame["why"] or (OTHERS_WAIT if frame["trial"] else "")


def stopped(frame: Mapping[str, Any]) -> dict[str, str]:
    """What a paused or cancelled job says: what it still does, or who or what stopped it, and what to do then."""
    running, code, text = frame["counts"]["running"], frame["reason"]["code"], frame["reason"]["text"]
    still = f"{number(running)} {'items' if running != 1 else 'item'} still running"
    by_limit, by_person = code == Code.FAILURE_LIMIT, code == Code.PERSON
    paused = "Paused by the failure limit" if by_limit else text.removesuffix(".") if by_person else "Paused"
    advice = "Fix the cause, then resume." if text and not by_limit and not by_person else ""
    return {
        "paused": f"Pausing – {still}" if running else paused,
        "cancelled": f"Stopping – {still}" if running else "Cancelled",
        "reason": "" if by_person else text.removeprefix("Paused: "),
        "advice": "Look at what failed, then resume, or adjust the limit." if by_limit else advice,
    }


def ended(frame: Mapping[str, Any]) -> dict[str, str]:
    """What a finished job says."""
    counts, total = frame["counts"], frame["total"]
    took = duration(frame["elapsed"])
    fallback = f", {number(counts['fallback'])} of them with a fallback" if counts["fallback"] else ""
    parts = [f"{number(counts['succeeded'])} succeeded"]
    parts += [f"{number(counts['failed'])} failed{fallback}"] if counts["failed"] else []
    parts += [f"{number(counts['rejected'])} rejected"] if counts["rejected"] else []
    everything = "The item succeeded." if total == 1 else f"All {number(total)} items succeeded."
    return {
        "finished": f"Finished in {took}" if counts["succeeded"] else f"Nothing succeeded in {took}",
        "outcome": everything if counts["succeeded"] == total else f"{', '.join(parts)}.",
    }


def how(settings: Mapping[str, Any]) -> str:
    """How a job runs: 10 at a time, 3 attempts, 30 s timeout, 20/s at most."""
    parts = [f"{number(settings['workers'])} at a time"]
    parts += [f"{settings['attempts']} attempts"] if settings["attempts"] > 1 else []
    parts += [f"{duration(settings['timeout'])} timeout"] if settings["timeout"] is not None else []
    parts += [f"{per_second(settings['rate'])} at most"] if settings["rate"] is not None else []
    return ", ".join(parts)


@register.simple_tag
def facts(frame: Mapping[str, Any]) -> dict[str, str]:
    """What the page writes about the job itself, by the names that its elements carry as `data-v`."""
    limit = f"pauses when {frame['limit']}" if frame["limit"] else ""
    names = {name: frame[name] for name in ("name", "file", "processor")}
    return names | {"how": how(frame["settings"]), "limit": limit}


@register.simple_tag
def view(frame: Mapping[str, Any]) -> dict[str, Any]:
    """Everything else that the page of a job writes, as text, by the same names."""
    counts, total = frame["counts"], frame["total"]
    done = counts["succeeded"] + counts["failed"] + counts["rejected"]
    active = frame["state"] == "running"
    average = frame["elapsed"] and (counts["succeeded"] + counts["failed"]) / frame["elapsed"]
    return {
        **{name: number(counts[name]) for name in COUNTED},
        **{f"{name}_share": share(counts[name], total) for name in COUNTED},
        "percent": percent(done, total),
        "done": number(done),
        "total": number(total),
        "open": number(total - done),
        "rate": number(frame["rate"] if active else average or None),
        "rate_label": "Rate" if active else "Average rate",
        "p50": duration(frame["p50"]),
        "p95": duration(frame["p95"]),
        "errors": error_share(counts),
        "elapsed": duration(frame["elapsed"]),
        "attempts": compact(frame["attempts"]),
        "left": headline(frame),
        "note": note(frame),
        "label": frame["label"],
        "tone": tone(frame),
        "retry": retry_label(frame),
        "any_retry": bool(again(frame) or counts["not_attempted"]),
        "alone": frame["reason"]["code"] == Code.NO_WORKER,
        "queued": f"Trying {counted(frame['trial'])}" if frame["trial"] else "Waiting for a worker",
        **stopped(frame),
        **ended(frame),
        "by_limit": frame["state"] == "paused" and frame["reason"]["code"] == Code.FAILURE_LIMIT,
        **before_start(counts),
    }


@register.simple_tag
def standing() -> dict[str, Any]:
    """All jobs at a glance, and how many workers live, for the first page of the admin."""
    strip: dict[str, Any] = job_list.glance(None)["strip"]
    return strip | {"workers": Worker.objects.alive().count()}
