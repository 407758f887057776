"""The counts of a job as pages show them, made of the sums of its shards."""

from __future__ import annotations

from jobs.models import Job


def summary(job: Job, stored: dict[str, int] | None = None) -> dict[str, int]:
    """The counts of a job as pages show them; their sum is always the total."""
    stored = stored or job.counts()
    running = min(stored["running"], stored["pending"])
    left = stored["pending"] - running
    again = stored["retrying"] - stored["rerunning"]
    return {
        "succeeded": stored["succeeded"],
        "failed": stored["failed"],
        "rejected": stored["rejected"],
        "running": running,
        "waiting": 0 if job.ended else left,
        "retrying": 0 if job.ended else min(max(0, again), left),
        "not_attempted": left if job.ended else 0,
        "fallback": stored["fallbacks"],
    }
