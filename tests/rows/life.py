"""The rules of the model: what workers, keepers and people do to jobs, and what goes wrong between them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db import OperationalError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from jobs import dispatch, keeper, tasks
from jobs.models import Job, JobState, Run, Shard
from jobs.models.job import Refused
from jobs.models.states import ENDED, UNFINISHED
from tests.rows.crew import FATES, OK, Hand
from tests.rows.promises import KEEPER, LOADER, PERSON, RETRY, Promises, holds
from tests.rows.viewer import Viewer
from tests.rows.world import LEASE, Killed, World

JOBS: Final = 5
HANDS: Final = 3
ROUNDS: Final = 12
SOME: Final = st.integers(0, 5)
NAME: Final = st.integers(1, 2)
ROWS: Final = st.lists(st.sampled_from([*["ok"] * 6, "killer", "bad"]), min_size=1, max_size=7)
READER: Final = st.sampled_from([*[""] * 5, "dies", "overtaken", "overtaken, both die", "cancelled"])
BROKEN: Final = st.sampled_from(["", "refused", "reply lost"])  # what becomes of a commit
WORKERS: Final = st.sampled_from([1, 1, 2, 3, 4, 5])  # two of them are as many as one task may have
FATE: Final = st.sampled_from(FATES)


class Life(RuleBasedStateMachine):
    """A few small jobs from their first row to their end."""

    examples = steps = 0

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.begin()
        self.promises = Promises(lambda: world.commits.count)
        self.hands: list[Hand] = []
        self.viewers: dict[int, Viewer] = {}
        self.age = 0
        Life.examples += 1

    def check_invariants(self, *args: Any) -> None:
        """After each step. What may never change is looked at after each transaction already."""
        Life.steps += 1
        self.age += 1
        self.hands = [hand for hand in self.hands if hand.busy]
        self.promises.recount(thoroughly=self.age % 5 == 0)
        if self.age % 3 == 0:
            self.somebody_looks()

    def somebody_looks(self) -> None:
        """A page that was told nothing, or too much, asks for what is new."""
        for job, row in self.promises.stored.jobs.items():
            viewer = self.viewers.setdefault(job, Viewer())
            if row.seq > viewer.seq:
                viewer.look(job, self.promises.stored.shown(job))
                return

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.everything_ends()
        finally:
            self.world.begin()

    def do(self, actor: str, act: Callable[[], Any]) -> bool:
        """Whether the database let somebody do that."""
        try:
            with self.world.product():
                act()
        except OperationalError:
            return False
        finally:
            self.promises.check(actor)
        return True

    @property
    def open(self) -> bool:
        """Whether there is something that could go wrong."""
        return any(job.state not in (*ENDED, JobState.READY) for job in self.promises.stored.jobs.values())

    def hand(self, index: int) -> Hand:
        return self.hands[index % len(self.hands)]

    def job(self, index: int) -> Job:
        jobs = sorted(self.promises.stored.jobs)
        return Job.objects.get(pk=jobs[index % len(jobs)])

    # People

    @initialize(rows=ROWS, attempts=st.integers(1, 3), workers=WORKERS, reader=READER, shards=SOME)
    def first(self, rows: list[str], attempts: int, workers: int, reader: str, shards: int) -> None:
        self.submit(rows, attempts, workers, True)
        self.deliver(0, shards, reader)
        self.worker_comes(shards)

    @rule(rows=ROWS, attempts=st.integers(1, 3), workers=WORKERS, start=st.booleans())
    @precondition(lambda self: len(self.promises.stored.jobs) < (2 if self.open else JOBS))
    def submit(self, rows: list[str], attempts: int, workers: int, start: bool) -> None:
        self.do(PERSON, lambda: self.world.submit(rows, attempts=attempts, workers=workers, start=start))

    @rule(
        verb=st.sampled_from(["start", "pause", "resume", "cancel", "retry", "retry"]), index=SOME,
        times=st.integers(1, 2), cause=SOME,
    )  # fmt: skip
    @precondition(lambda self: self.promises.stored.jobs)
    def press(self, verb: str, index: int, times: int, cause: int) -> None:
        """Two people who see the same page press the same button."""
        copies = [self.job(index) for _ in range(times)]
        runs = Run.objects.filter(job=copies[0]).count()
        chosen = {}
        if verb == "retry" and cause < 3:
            causes = copies[0].causes.order_by("pk").values_list("pk", flat=True)
            chosen = {"cause": causes[cause % len(causes)]} if causes else {}
        done = sum(self._press(verb, partial(getattr(dispatch, verb), copy, **chosen)) for copy in copies)
        holds(done <= 1, f"{verb} was done twice")
        holds(Run.objects.filter(job=copies[0]).count() <= runs + 1, f"{verb} made two runs")

    def _press(self, verb: str, act: Callable[[], Any]) -> bool:
        done: list[Any] = []
        try:
            self.do(RETRY if verb == "retry" else PERSON, lambda: done.append(act()))
        except Refused as refusal:
            holds(str(refusal).endswith("."), "a refusal is no sentence")
        return bool(done)

    # Messages

    @rule(
        what=st.sampled_from(["arrives", "arrives", "arrives", "is doubled", "gets lost", "broker"]), index=SOME, name=NAME,
        reader=READER, broken=BROKEN, wait=SOME,
    )  # fmt: skip
    @precondition(lambda self: self.world.messages or not self.world.reachable)
    def message(self, what: str, index: int, name: int, reader: str, broken: str, wait: int) -> None:
        """Messages arrive in whatever order, twice or never; a broker goes away and returns."""
        messages = self.world.messages
        if what == "broker" or not messages:
            self.world.reachable = not self.world.reachable
        elif what == "gets lost":
            messages.clear()
        elif what == "is doubled":
            messages += messages[:1]
        else:
            self.world.commits.fate, self.world.commits.wait = broken, wait
            self.deliver(index, name, reader)

    def deliver(self, index: int, name: int, reader: str) -> None:
        task, args = self.world.messages.pop(index % len(self.world.messages))
        if task == dispatch.LOAD:
            self.read(args[0], reader, name)
        else:
            self.worker_comes(name)

    def worker_comes(self, name: int) -> None:
        if len(self.hands) < HANDS:
            hand = Hand(self.world, self.promises, f"host:{name % 2}")
            hand.wake()
            self.hands += [hand] if hand.busy else []

    def read(self, job: int, reader: str, shards: int) -> None:
        """A reader reads, dies after so many shards, or is so slow that another one thinks so."""
        if reader:
            self.world.interruption = (shards % 3, partial(self._interrupted, job, reader))
        try:
            self.do(LOADER, lambda: tasks.load_file(job))
        except (Killed, Refused):
            self.promises.check(LOADER)
        self.world.interruption = None

    def _interrupted(self, job: int, how: str) -> None:
        self.promises.check(LOADER)
        if how == "dies":
            raise Killed
        if how == "cancelled":
            dispatch.cancel(Job.objects.get(pk=job), self.world.owner)
        else:
            self.let_pass(70)
            self.read(job, "dies" if "die" in how else "", 1)

    # Workers

    @rule(
        index=SOME, count=st.integers(0, 3), item=SOME, fates=st.lists(FATE, max_size=3),
        seconds=st.sampled_from([0.0, 0.3, 1.1, 4.0]), silent=st.sampled_from([0, 0, 0, 0, 70, 350]), broken=BROKEN,
    )  # fmt: skip
    @precondition(lambda self: self.open)
    def work(
        self, index: int, count: int, item: int, fates: list[str], seconds: float, silent: int, broken: str
    ) -> None:
        """Some items start, some come back, and the engine beats. Now and then a worker is woken for nothing."""
        if silent:
            self.let_pass(silent)
        if index >= len(self.hands):
            self.worker_comes(index)
        if not self.hands:
            return
        self.world.commits.fate, self.world.commits.wait = broken, item % 3
        hand = self.hand(index)
        hand.start(count)
        for fate in fates:
            if hand.started:
                hand.finish(item, fate)
        if hand.busy and seconds:
            hand.beat(seconds)

    @rule(index=SOME, fates=st.lists(FATE, min_size=1, max_size=4))
    @precondition(lambda self: self.hands)
    def work_through(self, index: int, fates: list[str]) -> None:
        self.hand(index).work_through([*fates, OK])

    @rule(index=SOME, how=st.sampled_from(["dies", "is told to stop", "hangs"]))
    @precondition(lambda self: self.hands)
    def worker_fails(self, index: int, how: str) -> None:
        hand = self.hand(index)
        if how == "dies":
            hand.die()
        elif how == "hangs":
            hand.give_up()
        else:
            hand.stopping = True

    # Time and the keepers

    def let_pass(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.promises.check(PERSON)

    @rule(what=st.sampled_from([70, 350, "sweep", "sweep", "wake"]), times=st.integers(1, 2))
    @precondition(lambda self: self.open)
    def time_passes(self, what: int | str, times: int) -> None:
        """Seconds, or what the keeper does meanwhile: twice is harmless."""
        for _ in range(times):
            if isinstance(what, int):
                self.let_pass(what)
            elif what == "wake":
                self.do(KEEPER, keeper.wake)
            elif self.do(KEEPER, keeper.sweep):
                self.nothing_is_left_over()

    def nothing_is_left_over(self) -> None:
        holds(not Shard.objects.expired().exists(), "a sweep left a lease that has expired")
        over = Job.objects.filter(state__in=UNFINISHED).exclude(shards__pending__gt=0).exclude(shards__token__gt="")
        holds(not over.exists(), "a sweep left a job open that is done")

    @rule(index=SOME)
    @precondition(lambda self: self.hands)
    def second_keeper(self, index: int) -> None:
        """It reads which leases have expired, and acts on that some time later."""
        self.let_pass(LEASE + 50)
        expired = list(Shard.objects.expired().select_related("job", "worker"))
        self.hand(index).beat(60)
        for shard in expired:
            self.do(KEEPER, partial(keeper.return_shard, shard))

    @rule(index=SOME, name=NAME)
    @precondition(lambda self: self.hands)
    def take_over(self, index: int, name: int) -> None:
        """All workers go silent for longer than a lease, and somebody goes on with their work."""
        self.round()
        self.hands = self.hands[: HANDS - 1]
        if self.world.messages:
            self.deliver(index, name, "")

    @rule(times=st.sampled_from([1, 1, 3]), fates=st.lists(FATE, min_size=1, max_size=4), retried=st.booleans())
    @precondition(lambda self: self.open and not self.hands)
    def rounds_pass(self, times: int, fates: list[str], retried: bool) -> None:
        """Workers come and go, one after another."""
        for _ in range(times):
            self.round()
            self.work_off([*fates, OK])
        for job in range(len(self.promises.stored.jobs) if retried else 0):
            self.press("retry", job, 2, JOBS)

    def round(self) -> None:
        self.let_pass(LEASE + 50)
        self.do(KEEPER, keeper.sweep)
        self.do(KEEPER, keeper.wake)

    def work_off(self, fates: list[str]) -> None:
        while self.world.messages:
            self.deliver(0, 1, "")
            for hand in self.hands:
                hand.work_through(fates)
            self.hands = [hand for hand in self.hands if hand.busy]

    # The end

    def everything_ends(self) -> None:
        """When the faults stop and one worker lives, every job ends after a few rounds of the keeper."""
        self.world.commits.fate = ""
        self.world.reachable = True
        self.world.messages.clear()
        self.hands.clear()
        for job in Job.objects.filter(state=JobState.PAUSED):
            self._press("resume", partial(dispatch.resume, job))
        for _ in range(ROUNDS):
            self.round()
            self.work_off([OK])
            if not Job.objects.filter(state__in=("loading", "queued", "running")).exists():
                break
        else:
            holds(False, f"a job never ends: {list(Job.objects.values_list('state', flat=True))}")
        self.promises.recount(thoroughly=True)
        for job, rows in self.world.rows.items():
            row = self.promises.stored.jobs[job]
            read = sum(owner == job for owner, _ in self.promises.stored.items)
            holds(read == rows or (row.state == JobState.CANCELLED and read < rows), "a file was not read as it is")
