"""Every stored secret encrypted anew, in bounded batches; whoever is stopped goes on where that was."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from batchweb import secrets
from jobs import processors
from jobs.models import parameters
from jobs.processors.values import BY, ENCRYPTED, is_encrypted

ROWS: Final = 500  # in a transaction
# From code, name, stored value and owner to what is to be stored.
Way = Callable[[str, str, Any, int], Any]


@dataclass
class Rotation:
    """What was found, and what became of it. `unreadable` are places: the code of a job, and a parameter's name."""

    rows: int = 0
    current: int = 0
    plain: int = 0
    anew: int = 0
    unreadable: set[tuple[str, str]] = field(default_factory=set)

    def under_first_key(self, code: str, name: str, value: Any, owner: int) -> Any:
        """A way: encrypted with the first key; what stands there as it was typed, too."""
        if value is None:
            return None
        if not is_encrypted(value):
            self.plain += 1
            return parameters.encrypted(code, name, value, owner)
        if secrets.is_current(value[ENCRYPTED]):
            self.current += 1
            return value
        opened = self._opened(code, name, value)
        return value if opened is value else parameters.encrypted(code, name, opened, value[BY])

    def as_typed(self, code: str, name: str, value: Any, owner: int) -> Any:
        """A way: not encrypted, for versions that know nothing of that."""
        return self._opened(code, name, value) if is_encrypted(value) else value

    def _opened(self, code: str, name: str, value: Any) -> Any:
        try:
            opened = parameters.decrypted(code, name, value)
        except parameters.Unreadable:
            self.unreadable.add((code, name))
            return value
        self.anew += 1
        return opened

    def go(self, jobs: QuerySet[Any], runs: QuerySet[Any], way: Way) -> Generator[int, None, None]:
        """Goes that way with all of them; after each transaction yields how many rows it has looked at."""
        for rows, of_job in ((jobs, _itself), (runs.select_related("job"), _its_job)):
            for pks in batches(rows.filter(_concerned(of_job is _its_job))):
                with transaction.atomic():
                    self._batch(rows.filter(pk__in=pks), of_job, way)
                yield self.rows

    def _batch(self, rows: QuerySet[Any], of_job: Callable[[Any], Any], way: Way) -> None:
        changed = []
        # Nobody may type another secret between the reading and the writing.
        for row in rows.select_for_update(of=("self",)):
            self.rows += 1
            job = of_job(row)
            secret = secret_of(job.processor, row.parameters)
            values = {
                name: (way if name in secret else self.as_typed)(job.code, name, value, job.owner_id)
                for name, value in row.parameters.items()
            }
            if values != row.parameters:
                row.parameters = values
                changed.append(row)
        rows.model._base_manager.bulk_update(changed, ["parameters"])


def secret_of(processor: str, values: Mapping[str, Any]) -> set[str]:
    """What is to be encrypted: all there is while nobody knows the processor, and what it declares when it is back."""
    return parameters.declared(processor) if processor in processors.names() else set(values)


def batches(rows: QuerySet[Any]) -> Iterable[list[int]]:
    """The keys of the rows, so many at a time, from the first to the last."""
    last = 0
    while pks := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:ROWS]):
        yield pks
        last = pks[-1]


def _concerned(through_job: bool) -> Q:
    """Rows of processors that declare a secret, or that nobody knows; all others can hold none."""
    open_ones = [name for name in processors.names() if not parameters.declared(name)]
    return ~Q(**{"job__processor__in" if through_job else "processor__in": open_ones})


def _itself(job: Any) -> Any:
    return job


def _its_job(run: Any) -> Any:
    return run.job
