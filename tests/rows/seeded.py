"""Faults that are put into the real code, one at a time, to see whether the model notices.

Each is an edit of the text of one function: where that text is no longer there, the edit says so instead of passing.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from typing import Any, Final

import pytest

from jobs import dispatch, keeper, loading, outcomes, sharing, store
from jobs.models import Job
from jobs.models.shard import ShardQuerySet
from jobs.recorder import Recorder
from jobs.saving import Save


@dataclass(frozen=True, slots=True)
class Edit:
    """In the function `name` of a module or class, `old` becomes `new`, and the first of `also` the second."""

    owner: Any
    name: str
    old: str
    new: str
    also: tuple[str, str] | None = None

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        function = inspect.unwrap(getattr(self.owner, self.name))
        source = textwrap.dedent(inspect.getsource(function))
        for old, new in filter(None, ((self.old, self.new), self.also)):
            if source.count(old) != 1:
                raise LookupError(f"{self.name} holds {source.count(old)} times {old!r}; the fault needs mending")
            source = source.replace(old, new)
        found: dict[str, Any] = {}
        exec(compile(source, f"<{self.name}>", "exec"), function.__globals__, found)
        patch.setattr(self.owner, self.name, found[self.name])


@dataclass(frozen=True, slots=True)
class Value:
    """The constant `name` of a module has another value."""

    owner: Any
    name: str
    value: Any

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(self.owner, self.name, self.value)


Fault = tuple[Edit | Value, ...]

FAULTS: Final[dict[str, Fault]] = {
    # Leases
    "nobody asks for the token": (
        Edit(store, "lock_shards", "AND token = %s", "AND %s <> ''"),
    ),
    "the token is the worker's name": (
        Edit(store, "claim_shard", "token = new_token()", 'token = f"worker {worker}"'),
        Edit(Save, "keep", "lease.token = store.new_token()", "lease.token"),
    ),
    "a shard is taken from who holds it": (
        Edit(store, "claim_shard", "AND token = '' AND", "AND"),
        Edit(ShardQuerySet, "claimable", ' token="",', ""),
    ),
    "a lease is not prolonged": (
        Edit(Save, "keep", 'fields["expires"] = ', "unused = "),
    ),
    "a job has more workers than allowed": (
        Edit(Job, "room", "tasks >= self.most_tasks", "tasks < 0", ("self.spare(used, tasks + 1)", "self.workers")),
    ),
    "a task grows before another has shrunk": (
        Edit(sharing, "_grow", "min(fair, share + job.spare(used, tasks))", "fair"),
    ),
    "a free shard stays claimed": (
        Edit(store, "given_back", '"claimed": "[]", ', ""),
    ),
    "a commit whose reply was lost is not known again": (
        Edit(Save, "stands", "return bool(", "return None and ("),
    ),
    # Items
    "a takeover runs the whole shard": (
        Edit(store, "read_pending", "state = 0", "state IN (0, 2)"),
    ),
    "claims are not stored before the start": (
        Edit(Save, "keep", "json.dumps(sorted(lease.claimed))", '"[]"'),
    ),
    "nobody waits for the next attempt": (
        Edit(store, "read_pending", "AND (due IS NULL OR due <= {later(0)}) AND strikes", "AND strikes"),
    ),
    "a wait is forgotten": (
        Edit(Save, "give_back", "store.next_due(self.job.pk, lease)", "None"),
    ),
    "a throttled item loses an attempt": (
        Edit(outcomes, "_failed", "attempt.number - throttled(attempt)", "attempt.number"),
    ),
    # Deaths
    "what was not claimed gets a strike": (
        Edit(keeper, "return_shard", "sorted(held.claimed)) if", "range(shard.start, shard.stop)) if"),
    ),
    "nobody gets a strike": (
        Edit(keeper, "return_shard", "if held.claimed else []", "if False else []"),
    ),
    "the first death condemns": (Value(store, "FATAL_STRIKES", 1),),
    "no death condemns": (Value(store, "FATAL_STRIKES", 99),),
    "nothing ever runs alone": (Value(store, "ALONE_FROM", 99),),
    # Announcements
    "viewers hear of a state before it is stored": (
        Edit(Job, "announce", "transaction.on_commit(partial(events.wake, ", "(lambda wake: wake())(partial(events.wake, "),
    ),
    "viewers hear of items before they are stored": (
        Edit(Recorder, "_transact", "return save", "events.wake(self.job.code, save.seq, 0)\n    return save"),
    ),
    "viewers are not told of the condemned": (
        Edit(keeper, "return_shard", "outcome.state for outcome in condemned", "outcome.state for outcome in ()"),
    ),
    "workers are sent for before the commit": (
        Edit(dispatch, "send_work", "transaction.on_commit(partial(send, WORK))", "send(WORK)"),
    ),
    "a reader is sent for before the commit": (
        Edit(dispatch, "submit", "transaction.on_commit(partial(send, LOAD, job.pk))", "send(LOAD, job.pk)"),
    ),
    # The keeper
    "the keeper wakes nobody": (
        Edit(keeper, "wake", "return dispatch.send(dispatch.WORK)", "return False"),
    ),
    "the keeper has no file read again": (
        Edit(keeper, "read_again", "if unread and", "if not unread and"),
    ),
    "the keeper takes nothing back": (
        Edit(keeper, "sweep", "if expire else []", "if not expire else []"),
    ),
    "the keeper ends no job": (
        Edit(keeper, "sweep", "job.finish()", "job.pk"),
    ),
    # People
    "a retry keeps the tries": (
        Edit(store, "retry_failed", "tries = 0,", "tries = tries,"),
    ),
    "a retry does not count anew": (
        Edit(store, "retry_failed", "save_shard(shard, cells, due=None)", "save_shard(shard, due=None)"),
    ),
    "a retry leaves the causes": (
        Edit(store, "retry_failed", "SET count = 0", "SET count = count"),
    ),
    "a retry runs successes again": (
        Edit(store, "retry_failed", "state = {int(ItemState.FAILED)}", "state IN (2, 3)"),
    ),
    "a retry tells no viewer": (
        Edit(dispatch, "retry", "dict.fromkeys(positions, 0)", "{}"),
    ),
    "a retry of nothing is a run": (
        Edit(dispatch, "retry", "if not left:", "if left < 0:"),
    ),
    "a button works in every state": (
        Edit(Job, "refuse_unless", "if not self.allows(verb):", "if verb not in VERBS:"),
    ),
    "a cancel drops what is in flight": (
        Edit(Job, "cancel", "self.note(", 'self.shards.update(token="", share=0, claimed="[]"); self.note('),
    ),
    "a worker does not look for a pause": (
        Edit(Recorder, "_look", "if self.job.state not in WORKABLE:", "if not self.job.state:"),
    ),
    "a paused job is worked on": (
        Edit(dispatch, "claim_in", "not job.workable or not share", "not share"),
        Edit(ShardQuerySet, "claimable", 'job__state__in=("queued", "running"), ', ""),
    ),
    # The end
    "a job ends under a lease": (
        Edit(Job, "finish", 'Q(pending__gt=0) | ~Q(token="")', "Q(pending__gt=0)"),
        Edit(keeper, "sweep", '.exclude(shards__token__gt="")', ""),
    ),
    "a job ends before its items": (
        Edit(Job, "finish", 'Q(pending__gt=0) | ~Q(token="")', '~Q(token="")'),
    ),
    # Reading
    "two readers store one file": (
        Edit(loading, "add_shard", ", load_token=token", ""),
    ),
    "a reader begins anew after a death": (
        Edit(loading, "read_all", "islice(reader, job.total)", "islice(reader, 0)"),
    ),
}  # fmt: skip

# Faults that break no promise, and what it is that holds in their place.
SECOND_LINES: Final[dict[str, tuple[Fault, str]]] = {
    "a lease is taken back without a second look at its time": (
        (Edit(keeper, "return_shard", "expired=True", "expired=False"),),
        "a lease that was prolonged meanwhile has another token",
    ),
    "a stored item is written again": (
        (Edit(store, "save_outcomes", "%s AND state = 0", "%s", ("= u.position AND jobs_item.state = 0", "= u.position")),),
        "nobody but the holder of the shard writes to it, and each holder knows what it has stored",
    ),
    "an item that is done already is not noticed": (
        (Edit(Save, "items", "!= len(self.outcomes)", "> len(self.outcomes)"),),
        "the same, and a commit whose reply was lost is known again",
    ),
    "the cursor is not rewound": (
        (Edit(Recorder, "_rewind", "min(lease.cursor, *lease.claimed), False", "lease.cursor, lease.read_all"),),
        "the shard is given back with what is pending in it, and claimed from its start",
    ),
    "a lost lease does not end the turn": (
        (Edit(Recorder, "_take_over", "self.ended = True", "self.ended = self.ended"),),
        "the shard is gone from what the recorder holds, so that it claims and stores nothing there",
    ),
    "a retry keeps the strikes": (
        (Edit(store, "retry_failed", "strikes = 0,", "strikes = strikes,"),),
        "whatever fails loses its strikes as it is stored, the condemned too",
    ),
    "a retry leaves the time that a shard waits for": (
        (Edit(store, "retry_failed", "cells, due=None", "cells"),),
        "that time comes; the retry only starts later",
    ),
    "a worker is sent for a job that is done": (
        (Edit(dispatch, "send_work", "if job.finish():", "if job.finish() and False:"),),
        "a worker that finds nothing goes away again",
    ),
    "a paused job is claimed by who saw it run": (
        (Edit(dispatch, "claim_in", "not job.workable or not share", "not share"),),
        "only jobs that may be worked on are candidates, but for the moment between the two",
    ),
    "a reader takes a file that another one reads": (
        (Edit(loading, "take", ".exclude(load_expires__gt=now)", ""),),
        "the first of them finds another's token when it stores",
    ),
}
