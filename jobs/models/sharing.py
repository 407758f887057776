"""Whose a job is, and who else may look at it or act on it: the actions on `Job` that change that.

Each leaves a line in the activity, for which the owner must have room; to take something back needs none, which cannot
happen more often.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q

from jobs import events
from jobs.models import quota_limits
from jobs.models.offer import Offer
from jobs.models.quota import Quota
from jobs.models.share import Share
from jobs.models.states import UNFINISHED, JobState, Refused

if TYPE_CHECKING:
    from jobs.models.job import Job

OFFERED: Final = 20  # jobs that one person may offer to another and that wait for an answer
SHARED: Final = 100  # people with whom one job can be shared
LONGEST: Final = 200  # characters of a job's name


@transaction.atomic
def share(job: Job, person: Any, may_act: bool = False, by: Any = None) -> bool:
    """Lets the person look at the job, or act on it; whether anything changed. Raises Refused."""
    _lock(job)
    if person.pk == job.owner_id:
        raise Refused(f"The job is {person}’s own.")
    known = job.shares.filter(person=person).first()
    if known and known.may_act == may_act:
        return False
    if not known and job.shares.count() >= SHARED:
        raise Refused(f"A job can be shared with {SHARED} people at most.")
    Share.objects.update_or_create(job=job, person=person, defaults={"may_act": may_act, "by": by})
    job.announce()
    job.note("share", f"Shared with {person}, who may {'act' if may_act else 'look'}", by)
    Quota.refuse_beyond(job.owner)
    return True


@transaction.atomic
def unshare(job: Job, person: Any, by: Any = None) -> bool:
    """Takes that back; whether there was anything to take. The person's open pages hear no more of the job."""
    _lock(job)
    if not job.shares.filter(person=person).delete()[0]:
        return False
    job.announce()
    job.note("unshare", f"No longer shared with {person}", by)
    return True


@transaction.atomic
def rename(job: Job, name: str, by: Any = None) -> bool:
    """Gives the job another name; whether it differs from the present one. Raises Refused."""
    name = "".join(char for char in name if char.isprintable()).strip()
    if not name:
        raise Refused("A job needs a name.")
    if len(name) > LONGEST:
        raise Refused(f"A name has {LONGEST} characters at most.")
    _lock(job)
    before = job.name
    if name == before:
        return False
    type(job).objects.filter(pk=job.pk).update(name=name)
    job.announce()
    job.note("rename", f"Renamed from {before} to {name}", by)
    Quota.refuse_beyond(job.owner)
    return True


@transaction.atomic
def give(job: Job, owner: Any, by: Any = None) -> bool:
    """Makes the job another person's, with its file if no job of the former owner needs that; whether it was not yet.

    Raises Refused where the new owner has as much as one person may have.
    """
    _lock(job)
    former = job.owner
    if former.pk == owner.pk:
        return False
    _room(job, owner)
    before = _stored(owner)
    job.shares.filter(person=owner).delete()
    Offer.objects.filter(job=job).delete()
    type(job).objects.filter(pk=job.pk).update(owner=owner)
    follow(job)
    _room_for_files(owner, before)
    job.refresh_from_db()
    # Both lists are other ones now, and the former owner's page of the job closes before it is told of more.
    for person in (former, owner):
        _tell(person)
    job.announce()
    whose = "" if by == former else f" of {former}"
    job.note("give", f"Gave the job{whose} to {owner}", by)
    return True


@transaction.atomic
def offer(job: Job, person: Any, by: Any) -> bool:
    """Offers the job to somebody, whose it is once they take it; whether that is new.

    What is given takes room from whom it is given to, so nobody gets anything unasked. Raises Refused.
    """
    _lock(job)
    if person.pk == job.owner_id:
        return False
    known = Offer.objects.filter(job=job).select_related("person").first()
    if known and known.person_id == person.pk:
        return False
    if Offer.objects.filter(person=person, by=by).count() >= OFFERED:
        raise Refused(f"{OFFERED} jobs that you offered wait for an answer of {person} already.")
    Offer.objects.update_or_create(job=job, defaults={"person": person, "by": by})
    _tell(person)
    job.note("offer", f"Offered the job to {person}", by)
    Quota.refuse_beyond(job.owner)
    return True


@transaction.atomic
def withdraw(job: Job, by: Any) -> bool:
    """Takes an offer of the job back; whether there was one."""
    _lock(job)
    found = Offer.objects.filter(job=job).select_related("person").first()
    if found is None:
        return False
    found.delete()
    _tell(found.person)
    job.note("offer", f"No longer offers the job to {found.person}", by)
    return True


@transaction.atomic
def take(job: Job, person: Any) -> None:
    """Makes the job the person's to whom it was offered. Raises Refused, also where they have no room for it."""
    job.give(person, _answered(job, person).by)
    job.note("offer", f"{person} took the job", person)


@transaction.atomic
def decline(job: Job, person: Any) -> None:
    """The person to whom the job was offered does not want it. Raises Refused where it is offered no more."""
    _answered(job, person).delete()
    job.note("offer", f"{person} declined the job", person)


def _answered(job: Job, person: Any) -> Offer:
    _lock(job)
    found = Offer.objects.filter(job=job, person=person).select_related("by").first()
    if found is None:
        raise Refused("The job is not offered to you any more.")
    return found


def _tell(person: Any) -> None:
    """What the person's list shows is another thing once the transaction commits."""
    transaction.on_commit(partial(events.tell, events.person_group(person.pk), {"type": "wake.person"}))


def follow(job: Job) -> None:
    """Passes on the job's file, and the files of its corrections, where their owners have no job that needs them."""
    job.upload.follow()
    for run in job.runs.exclude(upload=None).select_related("upload"):
        if run.upload:
            run.upload.follow()


def person_called(name: str) -> Any:
    """The person with this user name or e-mail address. Raises Refused where nobody who may sign in has it."""
    people = get_user_model().objects.filter(is_active=True)
    name = name.replace("\0", "").strip()
    # Two people may have the same address, or one the other's as a user name: that says neither of them.
    called = Q(username=name) | Q(email__iexact=name) if "@" in name else Q(username=name)
    found = list(people.filter(called)[:2])
    if not name:
        raise Refused("Say who: a user name or an e-mail address.")
    if len(found) != 1:
        raise Refused(f"There is nobody called “{name[:80]}” here.")
    return found[0]


def _lock(job: Job) -> None:
    job.lock()
    if job.deleting:
        raise Refused("The job is being deleted.")


def _room(job: Job, owner: Any) -> None:
    """Raises Refused where the person has no room for one more job."""
    if job.state not in (JobState.LOADING, *UNFINISHED):
        return
    try:
        quota_limits.room_for_job(owner, type(job).objects.unfinished_of(owner), Quota.of(owner).jobs)
    except quota_limits.OverQuota:
        raise Refused(f"{owner} has as many jobs that have not ended as one person may have.") from None


def _stored(owner: Any) -> int:
    """How many bytes the person has here; nobody else changes that before the end of the transaction."""
    quota_limits.one_at_a_time(owner.pk)
    return Quota.used(owner)


def _room_for_files(owner: Any, before: int) -> None:
    """Raises Refused where the person has too many bytes here now, if these were fewer `before`."""
    now, most = _stored(owner), Quota.of(owner).megabytes.most * quota_limits.MB
    if most and now > max(before, most):
        raise Refused(
            f"{owner} has no room for this job: with it it would be {quota_limits.mb(now)}, "
            f"and {quota_limits.mb(most)} are allowed."
        )
