"""How hard to try, and when to give up: the fields that every job has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator

from jobs.engine import Policy
from jobs.engine.cores import cores
from jobs.models.failure_limit import SAMPLE
from jobs.models.run_settings import LIMIT, POLICY
from jobs.processors import Processor

TIMEOUT: Final = 60  # seconds for an attempt unless the person says otherwise
FASTEST: Final = 1_000_000  # starts per second that may be asked for


def defaults(processor: Processor) -> dict[str, Any]:
    """The policy of a job that nobody changed."""
    policy = processor.policy
    computes = processor.kind == "cpu" and policy.workers == Policy().workers
    return {
        "workers": min(cores() if computes else policy.workers, settings.JOBS_MAX_WORKERS),
        "attempts": policy.attempts,
        "timeout": TIMEOUT,
        "rate": policy.rate,
    }


def good_number(processor: Processor) -> str:
    """How many items at a time suit the processor, in plain words."""
    here = f"{cores()} on this machine"
    if processor.kind == "cpu":
        return f"This work computes, so as many as there are cores is best: {here}."
    return (
        "5 to 20 is good for work that waits on a network, and never more than the service behind it allows. "
        f"Work that computes wants as many as there are cores ({here})."
    )


def filled(data: Any, usual: Mapping[str, Any]) -> Any:
    """What was sent, and the usual policy for what was left out altogether (an empty field is an answer)."""
    data = data.copy()
    for name in POLICY:
        if name not in data and usual[name] is not None:
            data[name] = usual[name]
    return data


class PolicyFields(forms.Form):
    """Policy and failure limit."""

    workers = forms.IntegerField(min_value=1, max_value=2**31 - 1, label="Items at a time")
    attempts = forms.IntegerField(
        min_value=1, max_value=20, label="Attempts", help_text="How often an item is tried before it counts as failed."
    )
    timeout = forms.FloatField(
        min_value=0.1, max_value=86_400, required=False, label="Timeout (seconds)",
        help_text="An attempt that takes longer counts as failed. Empty: no limit.",
    )  # fmt: skip
    rate = forms.FloatField(
        min_value=0.001, max_value=FASTEST, required=False, label="Starts per second",
        help_text="Empty: as fast as it goes.",
    )  # fmt: skip

    limit_share = forms.FloatField(
        min_value=0, max_value=99.9, required=False, label="Share of failures (%)",
        help_text="Pauses when more than that fails. Empty: no limit.",
    )  # fmt: skip
    limit_sample = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, initial=SAMPLE, label="Least items for a share",
        help_text="So many are tried before a share of them counts.",
    )  # fmt: skip
    limit_count = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, label="Number of failures", help_text="Empty: no limit."
    )
    limit_streak = forms.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, label="Failures in a row",
        help_text="Of one cause, as when a service is away. Empty: no limit.",
    )  # fmt: skip

    def fit_policy(self, processor: Processor) -> None:
        """What depends on the settings and the processor."""
        self.bound_workers()
        self.fields["workers"].help_text = good_number(processor)

    def bound_workers(self) -> None:
        workers = self.fields["workers"]
        workers.validators = [
            MinValueValidator(1, "At least one item at a time."),
            MaxValueValidator(settings.JOBS_MAX_WORKERS, "At most %(limit_value)s items at a time are allowed here."),
        ]
        workers.widget.attrs["max"] = settings.JOBS_MAX_WORKERS

    @property
    def policy_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in POLICY if name in self.fields]

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in LIMIT if name in self.fields]

    @property
    def limited(self) -> bool:
        """Whether something stands in the fields of the failure limit that is not there of itself."""
        said = [field for field in self.limit_fields if field.name != "limit_sample" or field.errors]
        return any(field.errors or field.value() not in (None, "") for field in said)
