"""How the tasks of one job divide its workers among them, while they come and go."""

from __future__ import annotations

from django.db import transaction

from jobs.models import Job, Worker
from jobs.store import leases, shards
from jobs.store.leases import Lease


def settle(job: Job, lead: Lease, share: int) -> int:
    """How many workers the task may go on with that has `share` of them, noted at the lease `lead`.

    Who has more than what is fair by now goes down to it at once; it is stored when its surplus workers have left.
    Who has less takes what others have given up, so that all together never have more than the job.
    """
    _, tasks = job.workers_leased()
    most = Worker.objects.of("work").for_one()
    fair = job.fair_share(max(1, tasks), most)
    return fair if fair <= share else _grow(job, lead, share, fair, most)


@transaction.atomic
def _grow(job: Job, lead: Lease, share: int, fair: int, most: int) -> int:
    if not leases.lock_shards([lead]):
        return share
    # Two tasks that grow at once wait for each other here.
    Job.objects.select_for_update(no_key=True).only("pk").get(pk=job.pk)
    used, tasks = job.workers_leased()
    grown = max(share, min(fair, share + job.spare(used, tasks, most)))
    shards.save_shard(lead.shard, share=grown)
    return grown
