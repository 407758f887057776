"""The rules of the world: what may happen at any moment."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs.models import Job, Shard
from jobs.models.states import ENDED
from tests.model import promises
from tests.model.hand import Hand
from tests.model.world import LEASE, World, dies, nobody

FEW = st.integers(0, 5)
HOW = st.sampled_from(("ok", "ok", "fail", "fail", "soon", "later"))
STEPS = st.sampled_from(("start", "start", "end", "end", "again", "store", "beat", "work out", "rest"))
VERBS = st.sampled_from(
    (
        "start",
        "try",
        "try",
        "change",
        "pause",
        "resume",
        "resume",
        "cancel",
        "cancel",
        "retry",
        "retry",
        "delete",
        "retry some",
        "retry some",
        "correct",
        "accept",
    )
)
DEATHS = st.sampled_from(
    ("nobody sees it", "its worker sees it", "all of its worker", "twice", "three times", "it was told to")
)
WHEN = st.sampled_from(("before the commit", "after the commit", "for good", "for good, after the commit"))
KINDS = st.fixed_dictionaries(
    {
        "rows": st.sampled_from((1, 5, 12, 24)),
        "workers": st.sampled_from((1, 2, 4, 4)),
        "attempts": st.integers(1, 2),
        "limit_count": st.sampled_from((None, None, None, 2)),
        "start": st.sampled_from((True, True, False)),
    }
)
ROUNDS = 15  # of the keeper, by whose end everything has ended once the faults stop


class Lives(RuleBasedStateMachine):
    """Jobs live, workers die, people press things."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(User.objects.get_or_create(username="alice")[0])
        self.world.enter()
        self.seen: Any = None

    def hand(self, at: int) -> Hand | None:
        """One of those that work; somebody comes to work where nobody does, unless there is nothing to do."""
        if not self.world.hands:
            self.world.come(at)
        return self.world.hands[at % len(self.world.hands)] if self.world.hands else None

    # Jobs

    @initialize(kind=KINDS)
    def first(self, kind: dict[str, Any]) -> None:
        self.upload(kind, "once", 0)
        self.deliver(0, 0, "ok", "start")

    @precondition(lambda self: len(self.world.rows) < 8 and self.world.busy() < 2)
    @rule(kind=KINDS, readers=st.sampled_from(("once", "twice", "anew", "anew", "later")), at=st.integers(0, 2))
    def upload(self, kind: dict[str, Any], readers: str, at: int) -> None:
        """The file is read: by one; by one beside whom another comes; by one who counts as dead when another comes,
        who soon dies.
        """
        job = self.world.upload(**kind)

        def between(shard: int) -> None:
            if shard == at and readers != "once":
                self.world.pass_time(1.1 * LEASE if readers == "anew" else 0)
                self.world.read(job.pk, dies if readers == "anew" else nobody)

        if readers != "later":
            self.world.read(job.pk, between)

    # Workers

    @rule(at=FEW, worker=FEW, how=HOW, then=st.sampled_from(("start", "start", "start", "work out", "end the turn")))
    def deliver(self, at: int, worker: int, how: str, then: str) -> None:
        hand = self.world.deliver(at, worker)
        if hand and then == "end the turn":
            hand.work_to_the_end(how)
        elif hand:
            self.step(hand, then, how)

    @rule(at=FEW, step=STEPS, how=HOW)
    def work(self, at: int, step: str, how: str) -> None:
        if hand := self.hand(at):
            self.step(hand, step, how)

    def step(self, hand: Hand, step: str, how: str) -> None:
        if step == "end" and hand.flying:
            hand.finish(next(iter(hand.flying)), how)
        elif step == "work out":
            hand.work_out(how)
        else:
            {"start": hand.pull, "again": hand.again, "store": hand.store, "beat": hand.beat}.get(step, hand.rest)()

    @rule(back=st.booleans(), more=st.integers(0, 2))
    def everybody_is_busy(self, back: bool, more: int) -> None:
        """All beat and start what they may, in either order, and once more after some more have come."""
        self.busy_round(back)
        for worker in range(more):
            self.world.come(worker)
        self.busy_round(back)

    def busy_round(self, back: bool) -> None:
        for hand in sorted(self.world.hands, key=lambda hand: hand.process, reverse=back):
            hand.beat()
            if not hand.gone:
                hand.store()
            hand.fill()

    @rule(at=FEW, how=HOW)
    def the_first_leaves(self, at: int, how: str) -> None:
        """All do what they can, and one of them ends its turn while the others still hold something."""
        self.world.come(at)
        self.world.come(at + 1)
        for hand in list(self.world.hands):
            hand.work_out(how)
        if first := self.hand(at):
            first.rest()

    # What goes wrong

    @rule(at=FEW, how=DEATHS)
    def die(self, at: int, how: str) -> None:
        hand, world = self.hand(at), self.world
        if hand is None:
            return
        if how in ("twice", "three times"):
            self.kill(hand, 2 if how == "twice" else 3)
        elif how == "it was told to":
            world.tell_to_stop(hand.worker)
        elif how == "all of its worker":
            for other in [other for other in world.hands if other.worker == hand.worker]:
                world.reclaim(other)
            world.see_death(hand.worker)
        else:
            world.reclaim(hand)
            if how == "its worker sees it":
                world.see_death(hand.worker, hand.process)

    def kill(self, hand: Hand, times: int) -> None:
        """Whoever works on the job dies as soon as it has something; who comes after them does the rest."""
        for _ in range(times):
            hand.pull()
            if hand.gone:
                return
            self.world.reclaim(hand)
            self.world.see_death(hand.worker, hand.process)
            again = self.world.come(times)
            if again is None:
                return
            hand = again
        hand.work_out()
        hand.rest()
        if hand.pull():
            hand.store()

    @rule(at=FEW, how=HOW, when=WHEN)
    def the_database_goes_away(self, at: int, how: str, when: str) -> None:
        """A transaction of a recorder does not get through, or its reply does not; or the recorder dies over it."""
        if hand := self.hand(at):
            hand.pull()
            self.world.trouble = when
            self.step(hand, "end", how)
            if not hand.gone:
                hand.store()
            self.world.trouble = ""

    @precondition(lambda self: self.world.messages)
    @rule(doubles=st.booleans())
    def the_broker_fails(self, doubles: bool) -> None:
        """It doubles a message, or loses all."""
        self.world.messages = [*self.world.messages, self.world.messages[0]] if doubles else []

    @rule(leases=st.sampled_from((0.6, 0.6, 1.1, 1.5)))
    def time_passes(self, leases: float) -> None:
        """For longer than a lease with the keeper asleep, too: whoever lives must get the chance to say so."""
        self.world.pass_time(leases * LEASE)
        if leases < 1.5:
            self.world.keeper.stand_by()
        self.world.keep(expire=leases < 1.5)

    # People

    @rule(at=FEW, verb=VERBS)
    def press(self, at: int, verb: str) -> None:
        jobs = self.jobs()
        if jobs:
            self.world.press(verb, jobs[at % len(jobs)])

    @rule(at=FEW, verbs=st.sampled_from(("pause", "pause resume", "cancel", "cancel resume", "delete")))
    def press_while_it_runs(self, at: int, verbs: str) -> None:
        """While items run; what they come to is stored all the same."""
        if hand := self.hand(at):
            hand.pull()
            for verb in verbs.split():
                for job in Job.objects.present().filter(pk=hand.job):
                    self.world.press(verb, job)
            self.step(hand, "end", "ok")
            if not hand.gone:
                hand.store()

    @rule(at=FEW, failures=FEW)
    def retry_while_it_runs(self, at: int, failures: int) -> None:
        hand = self.hand(at)
        if hand is None:
            return
        for _ in range(failures):
            if hand.pull():
                hand.finish(next(iter(hand.flying)), "fail")
        if not hand.gone:
            hand.store()
        for job in Job.objects.present().filter(pk=hand.job):
            self.world.press("retry", job)
        hand.work_out()

    # What must hold

    def jobs(self) -> list[Job]:
        return list(Job.objects.present().order_by("pk"))

    @invariant()
    def everything_adds_up(self) -> None:
        shards = Shard.objects.order_by("pk").values_list("pk", "token", "claimed", "pending", "failed", "share")
        now = [*Job.objects.order_by("pk").values_list("pk", "state", "seq"), *shards]
        if now != self.seen:
            self.seen = now
            promises.hold(self.world, self.jobs())

    # When the faults stop

    def teardown(self) -> None:
        try:
            self._everything_ends()
        finally:
            self.world.leave()

    def _everything_ends(self) -> None:
        self.world.trouble = ""
        for _ in range(ROUNDS):
            self._one_round()
            self.everything_adds_up()
            if all(job.state in ENDED for job in self.jobs()):
                break
        for job in self.jobs():
            assert job.state in ENDED, f"A job never ends: {job.state}, {job.counts()}"
            if job.state == "finished":
                assert job.counts()["pending"] == 0

    def _one_round(self) -> None:
        self.world.pass_time(1.1 * LEASE)
        self.world.keeper.stand_by()
        for hand in list(self.world.hands):
            hand.work_to_the_end()
        self.world.keep()
        for job in self.jobs():
            if verb := {"ready": "start", "paused": "resume"}.get(job.state):
                self.world.press(verb, job)
        while self.world.messages:
            if sent := self.world.deliver(0):
                sent.work_to_the_end()
