"""The rows: what is stored is the truth, everything else is a hint."""

from jobs.models.activity import Activity
from jobs.models.batch import Batch
from jobs.models.cause import Cause
from jobs.models.correction import Correction
from jobs.models.item import Attempt, Item
from jobs.models.job import Job
from jobs.models.part import Part
from jobs.models.quota import Quota
from jobs.models.run import Run
from jobs.models.series import Series
from jobs.models.shard import Shard
from jobs.models.share import Share
from jobs.models.states import ItemState, JobState
from jobs.models.upload import Upload
from jobs.models.worker import Worker

__all__ = [
    "Activity",
    "Attempt",
    "Batch",
    "Cause",
    "Correction",
    "Item",
    "ItemState",
    "Job",
    "JobState",
    "Part",
    "Quota",
    "Run",
    "Series",
    "Shard",
    "Share",
    "Upload",
    "Worker",
]
