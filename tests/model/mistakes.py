"""The usual mistakes, made in the real code one at a time: a model that does not notice each of them has no teeth."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from jobs import actions
from jobs.ingest import importer
from jobs.maintenance import keeper
from jobs.models import Job
from jobs.models.shard import ShardQuerySet
from jobs.store import leases
from jobs.worker import fair_share, recovery
from jobs.worker.commit import Commit
from jobs.worker.prefetch import Supply
from jobs.worker.recorder import Recorder


@dataclass(frozen=True)
class Mistake:
    """`old` becomes `new` in the source of what `owner` calls `attribute`, or in the constant of that name."""

    name: str
    owner: Any
    attribute: str
    old: str
    new: str

    @contextmanager
    def made(self) -> Iterator[None]:
        before = inspect.getattr_static(self.owner, self.attribute)
        with patch.object(self.owner, self.attribute, self._wrong(before)):
            yield

    def _wrong(self, before: Any) -> Any:
        if not callable(before):
            assert str(before) == self.old, f"{self.attribute} is {before} by now"
            return type(before)(self.new)
        function: Any = inspect.unwrap(before)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.attribute} reads otherwise by now"
        module = sys.modules[function.__module__]
        made: dict[str, Any] = {}
        exec(compile(source.replace(self.old, self.new), f"<{self.name}>", "exec"), module.__dict__, made)
        return made[function.__name__]


MISTAKES = [
    # Leases and their tokens
    Mistake("tokens are names", leases, "new_token", "secrets.token_hex(16)", '"worker"'),
    Mistake("a held shard is claimed", leases, "claim_shard", "AND token = '' AND pending", "AND pending"),
    Mistake("any token may write", leases, "lock_shards", "AND token = %s {", "AND %s IS NOT NULL {"),
    Mistake("a heartbeat does not prolong the lease", Commit, "keep", "settings.JOBS_LEASE_SECONDS", "0"),
    Mistake(
        "living workers lose their leases",
        recovery,
        "return_expired",
        "expired(), expired=True",
        "leased(), expired=False",
    ),
    Mistake(
        "the dead process takes its worker along",
        recovery,
        "reclaim",
        "held.filter(process=process), read",
        "held, read",
    ),
    Mistake(
        "a dead worker keeps its leases", recovery, "reclaim", "return _return_all(held, expired=False)", "return 0"
    ),
    Mistake("a turn ends with its leases", Recorder, "close", "self._closing = True", "pass"),
    Mistake("a shard goes back that is worked on", Commit, "give_back", "not lease.claimed and ", ""),
    Mistake("a commit is not known again", Recorder, "_transact", "self._tried and self._tried.stands()", "False"),
    Mistake("a rollback passes for a commit", Commit, "keep", "lease.token = store.new_token()", "lease.token"),
    # Claims and strikes
    Mistake("claims are not stored", Commit, "keep", "json.dumps(sorted(lease.claimed))", '"[]"'),
    Mistake(
        "what is done stays claimed", Commit, "cells", "lease.claimed.difference_update(", "set().difference_update("
    ),
    Mistake("what will be tried again soon is let go", Commit, "cells", " if not o.held", ""),
    Mistake("nobody is struck", recovery, "return_shard", "if held.claimed and not told", "if False"),
    Mistake("a stop counts as a death", recovery, "return_shard", "if held.claimed and not told", "if held.claimed"),
    Mistake("one death counts twice", leases, "strike", "strikes + 1", "strikes + 2"),
    Mistake("two strikes are too many", leases, "FATAL_STRIKES", "3", "2"),
    Mistake("two strikes are no reason to be alone", leases, "ALONE_FROM", "2", "3"),
    Mistake(
        "two lonely items are claimed",
        Recorder,
        "_claim",
        "if self.alone and any(",
        "if any(() for lease in []) and any(",
    ),
    Mistake("lonely items are forgotten", Recorder, "prepare", "if not self.supply:", "if False:"),
    Mistake("the condemned keep their cells", recovery, "fail_poison_items", "= outcome.cell", "= 0"),
    Mistake(
        "what is retried has an old run",
        Recorder,
        "_claim",
        'self.job.refresh_from_db(fields=["run"])',
        "pass",
    ),
    Mistake("what is retried has an old key", leases, "read_pending", "attempts - tries", "0"),
    Mistake(
        "what is read anew has old keys", Supply, "_items", 'f"{self.job.readings}." if self.job.readings else ""', '""'
    ),
    # Trials and other settings
    Mistake("a trial is of all rows", actions, "trial", "requeue.hold_back(job.pk, positions)", "pass"),
    Mistake("what was held back stays so", actions, "_let_go", "held_back__gt=0)", "held_back__gt=9)"),
    Mistake("a retry of some is of all", actions, "_hold_back", "requeue.hold_back(job.pk, chosen)", "pass"),
    Mistake("a retry of some does not end", ShardQuerySet, "unfinished", " & ~Q(due=HELD_BACK)", ""),
    Mistake("a trial ends too soon", Job, "_finish_trial", "or tried.filter(state=ItemState.PENDING).exists()", ""),
    Mistake("a trial does not end", keeper, "sweep", "Q(run__kind=Run.Kind.TRIAL) | ", ""),
    Mistake("rows of another reading stay", importer, "load", "clear(job, token)", "pass"),
    # Items and counts
    Mistake("successes are run again", leases, "read_pending", "AND state = 0 AND", "AND"),
    Mistake(
        "items start before they are due", leases, "read_pending", "AND (due IS NULL OR due <= {later(0)}) AND", "AND"
    ),
    Mistake("a retry takes successes too", leases, "retry_failed", "AND state = {int(ItemState.FAILED)} ", ""),
    Mistake("a retry leaves the causes", leases, "retry_failed", "SET count = 0", "SET count = count"),
    Mistake("a retry leaves the cells", leases, "retry_failed", "if changed:", "if False:"),
    Mistake(
        "saved rows leave the cells",
        Commit,
        "cells",
        "held.cells[position - lease.start] = ItemState.SUCCEEDED",
        "pass",
    ),
    Mistake("viewers are told of half", Commit, "batch", "if self.done or always:", "if always:"),
    Mistake(
        "viewers are told before the commit",
        Commit,
        "batch",
        "self._newest())",
        "self._newest()); events.wake(self.job.code, self.seq, 0)",
    ),
    # Jobs
    Mistake("a job ends under a lease", Job, "finish", ' | ~Q(token="")', ""),
    Mistake("a job ends with items left", Job, "finish", "Q(pending__gt=0) | ", ""),
    Mistake("a worker does not look for a pause", Recorder, "_look", "if not self.job.workable or (", "if ("),
    Mistake(
        "a deleted job is still written to",
        actions,
        "delete",
        "store.save_shard(shard, **store.given_back(None))",
        "pass",
    ),
    Mistake("the failure limit holds nobody", Job, "count_ends", "if reason:", "if False:"),
    Mistake(
        "a task grows before another has shrunk",
        fair_share,
        "settle",
        "fair if fair <= share else _grow(job, lead, share, fair)",
        "fair",
    ),
    Mistake("a share is given up too early", Recorder, "_transact", "max(self.share, pulse.in_flight)", "self.share"),
    # Keeper and readers
    Mistake("nobody is woken again", keeper, "wake", "return send(sending.WORK)", "return False"),
    Mistake("nobody is asked to read again", keeper, "read_again", "if unread and", "if False and"),
    Mistake("the keeper has no patience", keeper.Keeper, "_sweep", "if now - self._swept > GAP:", "if False:"),
    Mistake("two readers store one file", importer, "prolong", ", load_token=token", ""),
    Mistake("a second reader begins anew", importer, "read_all", "skip_stored(job, token, rows)", "pass"),
]
