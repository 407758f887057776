from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Left, Length

from jobs.models.states import ItemState

LONG: Final = ("payload", "result", "fallback", "error")  # texts of up to millions of characters,
BRIEF: Final = 10_000  # of which a table needs no more
WHOLE: Final = 1_000_000  # characters of an item that a page shows whole, and of others
BEGINNING: Final = 100_000  # so many of each of its texts
FAILED: Final = models.Q(state=ItemState.FAILED)
UNLABELLED: Final = Case(When(label="", then=F("payload")), default=Value("", models.TextField()))


class ItemQuerySet(models.QuerySet["Item"]):
    """Items by what became of them."""

    def failed(self) -> ItemQuerySet:
        return self.filter(state=ItemState.FAILED)

    def brief(self, most: int = BRIEF) -> list[Item]:
        """The items as tables list them: not to be saved, since long texts are cut to `most` characters on their way.

        Where a label stands for the payload, nothing of it is fetched.
        """
        cut = {f"{name}_cut": Left(UNLABELLED if name == "payload" else F(name), most) for name in LONG}
        found = list(self.defer(*LONG).annotate(**cut))
        for item in found:
            for name in LONG:
                setattr(item, name, getattr(item, f"{name}_cut"))
        return found

    def for_page(self) -> Item | None:
        """The one item, or none. What would fill a web server is `cut`: not to be saved, and not to be compared."""
        texts, is_short = LONG[:3], models.Q(characters__lte=WHOLE)
        cut = {
            f"{name}_cut": Case(
                When(is_short, then=F(name)), default=Left(name, BEGINNING), output_field=models.TextField()
            )
            for name in texts
        }
        characters = Length("payload") + Length("result") + Length("fallback")
        item = self.defer(*texts).annotate(characters=characters).annotate(**cut).first()
        for name in texts if item else ():
            setattr(item, name, getattr(item, f"{name}_cut"))
        if item:
            item.cut = vars(item)["characters"] > WHOLE
        return item

    def named(self) -> list[Item]:
        """The items with their positions and what says which they are, and nothing else: not to be saved."""
        rows = self.values_list("position", "label", Left(UNLABELLED, BRIEF))
        return [Item(position=position, label=label, payload=payload) for position, label, payload in rows]


class Item(models.Model):
    """One row of the file. Its position is given while reading and never changes.

    `payload`, `result` and `fallback` are JSON text, not jsonb, which would reorder keys and rewrite numbers. A table's
    payload is an array of cells beside the job's columns.
    """

    # Whoever adds rows has locked the job. To have PostgreSQL look for it again for each row took 40 % of the
    # time of reading a file (300,000 rows: 5.6 s with the constraint, 3.5 s without).
    job = models.ForeignKey(
        "jobs.Job", on_delete=models.CASCADE, related_name="items", db_index=False, db_constraint=False
    )
    position = models.PositiveIntegerField()
    state = models.SmallIntegerField(choices=ItemState, db_default=ItemState.PENDING)
    payload = models.TextField()
    label = models.CharField(max_length=200, db_default="")
    key = models.CharField(max_length=200, db_default="")
    # Only read through its item, so neither an index nor a constraint is worth its price on each insert.
    run = models.ForeignKey(
        "jobs.Run", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    attempts = models.PositiveIntegerField(db_default=0, help_text="All tries of this item.")
    tries = models.PositiveIntegerField(db_default=0, help_text="Tries in its present run; the policy limits these.")
    strikes = models.PositiveSmallIntegerField(db_default=0, help_text="Unexplained deaths of a worker that held it.")
    due = models.DateTimeField(null=True, help_text="Not to be tried before this time.")
    finished = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True, help_text="Duration of the last attempt.")
    worker = models.ForeignKey(
        "jobs.Worker", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    result = models.TextField(db_default="")
    fallback = models.TextField(db_default="")
    error_kind = models.CharField(max_length=100, db_default="")
    error = models.TextField(db_default="")
    cause = models.ForeignKey(
        "jobs.Cause", null=True, on_delete=models.DO_NOTHING, related_name="items", db_index=False, db_constraint=False
    )
    accepted = models.DateTimeField(null=True, help_text="Since then somebody knows of the failure and lets it be.")

    cut = False  # whether these are but the beginnings of its texts

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "position"], name="item_position_in_job"),
            models.CheckConstraint(condition=models.Q(state__in=ItemState.values), name="item_state_known"),
        ]
        indexes = [
            models.Index(fields=["job", "state", "position"], name="item_by_state"),
            # With all that the items of a cause are sorted by, so that not each of them has to be looked up.
            models.Index(
                fields=["job", "cause", "position", "seconds", "attempts", "finished"],
                name="item_by_cause",
                condition=models.Q(cause__isnull=False),
            ),
            # What failed is what people sort. Reading a file and what succeeds pay nothing for these.
            *(
                models.Index(fields=["job", column, "position"], name=f"item_failed_by_{column}", condition=FAILED)
                for column in ("seconds", "attempts", "finished")
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.row}"

    @property
    def row(self) -> int:
        """The number that people see: rows are counted from 1."""
        return self.position + 1


class Attempt(models.Model):
    """One try of one item.

    A first try that succeeded and logged nothing has no row of its own: the item says all there is to know of it.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    position = models.PositiveIntegerField()
    run = models.ForeignKey(
        "jobs.Run", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveIntegerField()
    worker = models.ForeignKey(
        "jobs.Worker", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    started = models.DateTimeField()
    seconds = models.FloatField()
    kind = models.CharField(max_length=100, db_default="", help_text="Kind of the failure; empty for a success.")
    message = models.TextField(db_default="")
    trace = models.TextField(db_default="")
    log = models.TextField(db_default="")
    retry_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["job", "position"], name="attempt_of_item")]

    def __str__(self) -> str:
        return f"attempt {self.number}"
