"""How a batch runs: threads or child processes, retries, timeouts, rate. Standard library and tqdm only."""

from jobs.engine.batch import batch_process_defensive, batch_process_large_dataset, batch_process_parallel
from jobs.engine.runner import run
from jobs.engine.types import STOP, Attempt, Failure, Policy, Pulse, RetryLater

__all__ = [
    "STOP",
    "Attempt",
    "Failure",
    "Policy",
    "Pulse",
    "RetryLater",
    "batch_process_defensive",
    "batch_process_large_dataset",
    "batch_process_parallel",
    "run",
]
