"""What must hold at any moment, whatever has happened."""

from __future__ import annotations

from collections.abc import Sequence

from jobs import events
from jobs.maintenance import invariants
from jobs.models import Batch, Item, ItemState, Job
from jobs.models.states import CELL_FALLBACK, WORKABLE
from tests.model.hand import Hand
from tests.model.world import Holding, World


def hold(world: World, jobs: Sequence[Job]) -> None:
    """Raises AssertionError with what does not hold."""
    for job in jobs:
        wrong = list(invariants.differences(job))
        assert not wrong, wrong
        ends_properly(world, job)
        frames_lead_to_the_cells(world, job)
        limit_holds(job)
    for promise in (leases_are_known, strikes_are_right, successes_stand, deleted_stay_as_they_were):
        promise(world)


def ends_properly(world: World, job: Job) -> None:
    if job.state == "finished":
        assert not job.shards.exclude(token="").exists(), "A finished job is still held by somebody"
    if job.state == "ready" and job.run:
        left = job.items.filter(position__in=job.run.positions, state=ItemState.PENDING)
        assert not left.exists(), "A trial has ended before its rows were tried"
    if job.state not in ("loading", "cancelled", "invalid"):
        assert job.total == world.rows[job.pk], "The rows of the file and the items differ"


def frames_lead_to_the_cells(world: World, job: Job) -> None:
    deltas = Batch.objects.filter(job=job).order_by("seq").values_list("delta", flat=True)
    told = events.merge(bytes(delta) for delta in deltas if delta is not None)
    stored = b"".join(bytes(shard.cells) for shard in job.shards.order_by("number"))
    cells = {at: int(ItemState.FAILED) if cell == CELL_FALLBACK else cell for at, cell in enumerate(stored)}
    assert {at: told.get(at, 0) for at in cells} == cells, "A viewer who saw every frame sees something else"
    numbers = set(Batch.objects.filter(job=job).values_list("seq", flat=True))
    woken = {seq for code, seq in world.woken if code == job.code}
    assert woken <= numbers, "Viewers were told of something that is not stored"
    world.woken.clear()


def limit_holds(job: Job) -> None:
    tally = job.limit and job.limit_tally
    if tally and job.limit_count and job.state in WORKABLE:
        assert f'"failed": {job.limit_count}' not in tally, "A job went on although its limit was reached"


def leases_are_known(world: World) -> None:
    hands = world.hands + world.dead
    known = [lease.token for hand in hands for lease in hand.recorder.leases]
    held = world.holdings()
    for shard in held.values():
        assert known.count(shard.token) == 1, f"{known.count(shard.token)} hands know the token of one lease"
    for hand in hands:
        keeps_what_is_its_own(world, hand, held)


def keeps_what_is_its_own(world: World, hand: Hand, held: dict[int, Holding]) -> None:
    leases = hand.recorder.leases
    mine = [held[lease.shard] for lease in leases if lease.shard in held and held[lease.shard].token == lease.token]
    tokens = {one.token for one in mine} | world.forfeit
    assert all(lease.token in tokens for lease in leases), "A lease was lost, and nobody took it back"
    claimed = [(one.job, at) for one in mine for at in one.claimed]
    lonely = [one for one in claimed if world.strikes.get(one, 0) >= 2]
    assert not lonely or len(claimed) == 1, "Beside an item with two strikes others are claimed"


def strikes_are_right(world: World) -> None:
    strikes = world.strikes
    pending = Item.objects.filter(state=ItemState.PENDING).values_list("job", "position", "strikes")
    for job, at, stored in pending:
        expected = strikes.get((job, at), 0)
        assert stored == expected, f"An item has {stored} strikes instead of {expected}"
    died = set(Item.objects.filter(error_kind="worker died").values_list("job", "position"))
    present = set(Job.objects.values_list("pk", flat=True))
    condemned = {key for key, found in strikes.items() if found >= 3 and key[0] in present}
    assert died == condemned, "An item was condemned, or not, against its strikes"


def successes_stand(world: World) -> None:
    stored = {(job, at): (state, result) for job, at, state, result in
              Item.objects.values_list("job", "position", "state", "result")}  # fmt: skip
    for key, result in world.successes.items():
        assert stored.get(key, (ItemState.SUCCEEDED, result)) == (ItemState.SUCCEEDED, result), "A success changed"


def deleted_stay_as_they_were(world: World) -> None:
    for job, content in world.deleted.items():
        assert world.content(job) in (content, []), "Something was stored for a job that was deleted"
