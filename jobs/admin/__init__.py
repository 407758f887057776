"""The administrators' place: find jobs, items, causes, workers and people, see how they stand, and act."""

from jobs.admin.activity import ActivityAdmin
from jobs.admin.cause import CauseAdmin
from jobs.admin.item import ItemAdmin
from jobs.admin.job import JobAdmin
from jobs.admin.people import PeopleAdmin
from jobs.admin.security_event import SecurityEventAdmin
from jobs.admin.worker import WorkerAdmin

__all__ = ["ActivityAdmin", "CauseAdmin", "ItemAdmin", "JobAdmin", "PeopleAdmin", "SecurityEventAdmin", "WorkerAdmin"]
