"""How a batch runs: threads or child processes, retries, timeouts, rate. Standard library and tqdm only."""

from jobs.engine.runner import run
from jobs.engine.types import STOP, Attempt, Failure, Policy, Pulse, RetryLater

__all__ = ["STOP", "Attempt", "Failure", "Policy", "Pulse", "RetryLater", "run"]
