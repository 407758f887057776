"""One of two that race: `python -m tests.faults.racer NAME CODE` does at once what a line on standard input says.

`claim` takes the job's shard and answers whether it could, `beat` prolongs the lease, `age` lets it expire in a moment,
`sweep` takes expired leases back, `free` gives the shard back.
"""

from __future__ import annotations

import sys

import django

django.setup()

from jobs.models import Item, Job, Shard, Worker  # noqa: E402
from jobs.store import (  # noqa: E402
    dialect,
    shards,
)
from jobs.worker import claim as worker_claim  # noqa: E402
from jobs.worker import recovery  # noqa: E402
from jobs.worker.recorder import Recorder  # noqa: E402

SOON = 0.03  # seconds


class Racer:
    """Takes orders, and holds a shard between two of them."""

    def __init__(self, name: str, code: str) -> None:
        self.worker = Worker.saw(f"{name}:1")
        self.job = Job.objects.get(code=code)
        self.held: Recorder | None = None

    def claim(self) -> bool:
        self.held = worker_claim.claim_in(self.job, self.worker, lambda: False)
        return self.held is not None

    def age(self) -> bool:
        dialect.execute(f"UPDATE jobs_shard SET expires = {dialect.later(SOON)} WHERE token <> ''")
        return True

    def beat(self) -> bool:
        """Whether the shard is still ours."""
        assert self.held
        self.held.flush()
        return bool(self.held.leases)

    def sweep(self) -> bool:
        """Whether an expired lease was taken back. The strikes for it are taken back too, for the next round."""
        for shard in Shard.objects.filter(job=self.job).exclude(token="").select_related("job", "worker"):
            recovery.return_shard(shard)
            if Shard.objects.filter(pk=shard.pk, token="").exists():
                Item.objects.filter(job=self.job, strikes__gt=0).update(strikes=0)
                return True
        return False

    def free(self) -> bool:
        held, self.held = self.held, None
        for lease in held.leases if held else ():
            shards.save_shard(lease.shard, **shards.given_back(None))
        return True


def main(name: str, code: str) -> None:
    racer = Racer(name, code)
    print("ready", flush=True)
    for line in sys.stdin:
        print("yes" if getattr(racer, line.strip())() else "no", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
