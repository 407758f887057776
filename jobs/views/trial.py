"""Trying some rows before all are started."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from jobs import actions
from jobs.items import trial
from jobs.items.trial import MOST
from jobs.models.job import Refused
from jobs.views.access import job_to_act_on, person


class TrialForm(forms.Form):
    """Which rows to try: the first ten unless something else was asked for."""

    rows = forms.ChoiceField(choices=[(name, name) for name in ("first", "random", "chosen")], required=False)
    count = forms.IntegerField(min_value=1, max_value=MOST, required=False)
    chosen = forms.CharField(max_length=2_000, required=False)

    @property
    def trouble(self) -> str:
        """What is wrong with it, in a sentence."""
        if "count" in self.errors:
            return f"A trial takes from 1 to {MOST} rows."
        return next((str(error) for errors in self.errors.values() for error in errors), "")


@require_POST
def try_rows(request: HttpRequest, code: str) -> HttpResponse:
    """Works on a few rows of a job that is ready; what came of the order is said on the job's page."""
    job, form = job_to_act_on(request, code), TrialForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused(form.trouble)
        asked = form.cleaned_data
        rows = asked["rows"] or "first"
        chosen = trial.row_numbers(asked["chosen"], job.total) if rows == "chosen" else []
        count = actions.trial(job, person(request), rows, asked["count"] or 10, chosen)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, actions.ACTIONS["try"].done(count))
    return redirect(job)
