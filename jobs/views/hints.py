"""What the settings on the form mean for the file that was chosen."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django import forms
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from jobs.engine import Policy
from jobs.forms import LIMIT, POLICY, JobForm, chosen_one, defaults, filled
from jobs.forms.setting_hints import FIELDS, hints
from jobs.live import eta
from jobs.models.failure_limit import SAMPLE, Limit
from jobs.views.access import person


class Settings(forms.Form):
    """The policy and the failure limit as they stand on the form, each checked by itself."""

    rows = forms.IntegerField(min_value=1, max_value=2**31 - 1, required=False)

    def __init__(self, data: Any) -> None:
        self.processor = chosen_one(data.get("processor", ""))
        self.usual = defaults(self.processor)
        super().__init__(filled(data, self.usual))
        self.fields |= {name: deepcopy(JobForm.base_fields[name]) for name in (*POLICY, *LIMIT)}

    def sentences(self, seconds: float | None) -> dict[str, str]:
        """What each field means; nothing of one that holds no sense."""
        good = self.usual | self.cleaned_data
        policy = Policy(**{name: good[name] for name in POLICY})
        limit = Limit(good.get("limit_share"), good.get("limit_sample") or SAMPLE, *map(good.get, LIMIT[2:]))
        told = hints(good.get("rows"), seconds, policy, limit)
        return {field: told[field] for field in FIELDS if field not in self.errors}


@require_POST
def hint(request: HttpRequest) -> JsonResponse:
    """Field → sentence. Wants `processor`, `rows` where known, and the fields of the policy and the failure limit."""
    return JsonResponse(sentences(request, request.POST))


def sentences(request: HttpRequest, data: Any) -> dict[str, str]:
    """Field → sentence, for what stands in the form."""
    form = Settings(data)
    form.is_valid()
    return form.sentences(eta.typical_seconds(form.processor.name, person(request)))


def of_form(request: HttpRequest, form: JobForm, rows: int | None) -> dict[str, str]:
    """The same for a form that is about to be shown; empty for a field that has none."""
    values = {name: form[name].value() for name in (*POLICY, *LIMIT)} | {"rows": rows, "processor": form.chosen.name}
    data = {name: "" if value is None else value for name, value in values.items()}
    return dict.fromkeys((*POLICY, *LIMIT), "") | sentences(request, data)
