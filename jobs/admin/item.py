from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator

from batchweb.concurrency import limited, searches
from jobs import actions
from jobs.admin.base import Looking, filtered
from jobs.humanize import items, number
from jobs.items import causes, positions
from jobs.items.row import WORDS, shown
from jobs.items.search import SearchPage, find
from jobs.items.selection import ALL, Wanted
from jobs.models import Attempt, Cause, Correction, Item, ItemState, Job
from jobs.models import counts as models_counts
from jobs.models.item import BRIEF
from jobs.models.job import Refused

CHOICES: Final = 50  # jobs to choose from
POSITION: Final = 9  # digits of one at most
LATEST: Final = 50  # attempts of an item
STATES: Final = ("failed", "succeeded", "rejected", "running", "retrying", "waiting", "not_attempted")


@admin.register(Item)
class ItemAdmin(Looking):
    """Items of one job, found as its own page finds them: by the neighbour of a page, never by counting to it."""

    @method_decorator(limited(searches, when=filtered))
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = chosen(request)
        if job is None:
            latest = list(Job.objects.present().order_by("-pk").values_list("pk", flat=True)[:CHOICES])
            jobs = Job.objects.filter(pk__in=latest).with_counts().select_related("owner").order_by("-pk")
            rows = [(one, one.counts()["failed"]) for one in jobs]
            return render(request, "admin/jobs/item/choose.html", self.page(request, "Choose a job", rows=rows))
        if request.method == "POST":
            return self.act(request, job)
        return render(request, "admin/jobs/item/list.html", self.page(request, "Items", **listed(request, job)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """All there is to know of one item. Nothing of it is written here."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Item.objects.filter(pk=number(object_id) or 0, job__deleting=None)
        items = found.select_related("job", "run", "worker", "cause").annotate(text=Left("payload", BRIEF)).brief()
        if not items:
            raise Http404("There is no such item.")
        return render(request, "admin/jobs/item/page.html", self.page(request, str(items[0]), **about(items[0])))

    # What is done

    def act(self, request: HttpRequest, job: Job) -> HttpResponse:
        """A verb on the chosen items or on all that failed (for a cause); what came of it is said and noted."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        order = Order(request, job)
        if not order.possible:
            self.message_user(request, "Choose items first.", messages.WARNING)
        elif order.verb == "retry" and "sure" not in request.POST:
            context = self.page(request, f"Retry {items(order.concerned())} of {job.name}?", job=job, order=order)
            return render(request, "admin/jobs/item/confirm.html", context)
        else:
            self.carry_out(request, order)
        return HttpResponseRedirect(request.get_full_path())

    def carry_out(self, request: HttpRequest, order: Order) -> None:
        try:
            text = order.given(request.user)
        except Refused as refusal:
            self.message_user(request, str(refusal), messages.WARNING)
            return
        self.log_change(request, order.job, text)
        self.message_user(request, text, messages.SUCCESS)


class Order:
    """What a person wants done to which items: the chosen ones, those of the cause in the address, or all failed."""

    def __init__(self, request: HttpRequest, job: Job) -> None:
        verb, _, scope = request.POST.get("action", "").partition("_")
        self.job = job
        self.verb = verb if verb in ("retry", "accept", "unaccept") else ""
        self.all = scope == "all"
        self.cause = number(request.GET.get("cause", ""))
        chosen = (number(at, POSITION) for at in request.POST.getlist("_selected_action"))
        self.positions = [at for at in chosen if at is not None]

    @property
    def action(self) -> str:
        return f"{self.verb}_all" if self.all else self.verb

    @property
    def possible(self) -> bool:
        return bool(self.verb and (self.all or self.positions))

    @property
    def which(self) -> dict[str, Any]:
        """As the verbs of `dispatch` want it."""
        return {"cause": self.cause} if self.all else {"positions": self.positions}

    def concerned(self) -> int:
        """How many items a retry is about."""
        if not self.all:
            # What was never attempted in a job that has ended is tried, too.
            states = (ItemState.FAILED, ItemState.PENDING) if self.job.ended else (ItemState.FAILED,)
            chosen = Item.objects.filter(job=self.job, position__in=self.positions, state__in=states)
            return len(chosen.values_list("position", flat=True))
        if self.cause:
            return sum(Cause.objects.filter(job=self.job, pk=self.cause).values_list("count", flat=True))
        failed = Cause.objects.filter(job=self.job).values_list("count", "accepted")
        return sum(count - accepted for count, accepted in failed) + models_counts.summary(self.job)["not_attempted"]

    def given(self, by: Any) -> str:
        """Does it, and says in a sentence what was done."""
        if self.verb == "retry":
            return actions.queued_again(actions.retry(self.job, by, **self.which))
        count = actions.accept(self.job, by, **self.which, accepted=self.verb == "accept")
        return f"{items(count)} accepted." if self.verb == "accept" else f"{items(count)} no longer accepted."


def chosen(request: HttpRequest) -> Job | None:
    """The job that the address names by its code, or by its key as the admin's own links do."""
    code, key = request.GET.get("job", ""), request.GET.get("job__id__exact", "")
    jobs = Job.objects.present().select_related("owner", "upload", "run")
    if code and "\0" not in code:
        return jobs.filter(code=code).first()
    return jobs.filter(pk=number(key) or 0).first()


def listed(request: HttpRequest, job: Job) -> dict[str, Any]:
    """A page of the items that the address asks for, the filters, and the ways to the pages beside it."""
    wanted = Wanted.of(request.GET.dict())
    counts = models_counts.summary(job)
    found = find(job, wanted, counts)
    base = Wanted(state=ALL) if wanted.row is not None else wanted
    return {
        "job": job,
        "wanted": wanted,
        "found": found,
        "items": rows(job, found, positions.running(job) if counts["running"] else ()),
        "states": [("", "All", job.total), *((state, WORDS[state], counts[state]) for state in STATES)],
        "causes": job.causes.filter(count__gt=0).order_by("-count", "pk")[: causes.MOST],
        "previous": base.but(before=found.previous).query if found.previous else "",
        "next": base.but(after=found.next).query if found.next else "",
    }


def rows(job: Job, found: SearchPage, running: Any) -> list[dict[str, Any]]:
    items = {item.position: item for item in Item.objects.filter(job=job, position__in=found.positions).brief()}
    there = [items[position] for position in found.positions if position in items]
    return [shown(item, job, running) | {"pk": item.pk, "accepted": item.accepted} for item in there]


def about(item: Item) -> dict[str, Any]:
    """The item, every attempt of it, and what its payload was before."""
    here = {"job": item.job_id, "position": item.position}
    attempts = Attempt.objects.filter(**here).select_related("worker", "run").order_by("-pk")[:LATEST]
    former = Correction.objects.filter(**here).order_by("-pk").annotate(was=Left("payload", BRIEF)).defer("payload")
    return {
        "item": item,
        "job": item.job,
        "row": shown(item, item.job),
        "attempts": attempts,
        "former": former[:LATEST],
    }
