"""The rows: what is stored is the truth, everything else is a hint."""

from jobs.models.activity import Activity
from jobs.models.batch import Batch
from jobs.models.cause import Cause
from jobs.models.correction import Correction
from jobs.models.incoming import Incoming
from jobs.models.item import Attempt, Item
from jobs.models.job import Job
from jobs.models.offer import Offer
from jobs.models.part import Part
from jobs.models.quota import Quota
from jobs.models.run import Run
from jobs.models.security_event import SecurityEvent
from jobs.models.series import Series
from jobs.models.session import Session
from jobs.models.shard import Shard
from jobs.models.share import Share
from jobs.models.states import ItemState, JobState
from jobs.models.throttle import Throttle
from jobs.models.upload import Upload
from jobs.models.worker import Worker

__all__ = [
    "Activity",
    "Attempt",
    "Batch",
    "Cause",
    "Correction",
    "Incoming",
    "Item",
    "ItemState",
    "Job",
    "JobState",
    "Offer",
    "Part",
    "Quota",
    "Run",
    "SecurityEvent",
    "Series",
    "Session",
    "Shard",
    "Share",
    "Throttle",
    "Upload",
    "Worker",
]
