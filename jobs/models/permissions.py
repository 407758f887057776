"""Who may do what with a job: its owner, people with whom it is shared, staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jobs.models.job import Job

ACT: Final = "jobs.change_job"  # the permission that staff needs to act; the others may look only


def may_act(job: Job, user: Any) -> bool:
    """Whether this person may press the buttons of the job: whose it is, shared with to act, or staff that may."""
    return may_give(job, user) or any(one.may_act for one in job.shares.all() if one.person_id == user.pk)


def may_give(job: Job, user: Any) -> bool:
    """Whether this person may share the job, give it to somebody else and delete it."""
    return bool(job.owner_id == user.pk or (user.is_staff and user.has_perm(ACT)))


def may_move(user: Any) -> bool:
    """Whether this person may give jobs to people who were not asked: staff that may act."""
    return bool(user.is_staff and user.has_perm(ACT))
