"""Whose a job is, who else may see it, and what becomes of its file: the verbs and what they refuse."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import override_settings

from jobs import actions, events
from jobs.maintenance import retention
from jobs.models import Activity, Job, Offer, Quota, Run, Upload
from jobs.models.job import Refused
from jobs.models.sharing import person_called
from tests.base import People, csv_of, loaded, make_job, worked

LARGE = "name,simulate\n" + f"{'x' * 997},ok\n" * 700  # bytes: 0.7 million


class SharingTests(People):
    def setUp(self) -> None:
        self.job = loaded(self.alice, start=False)

    def newest(self) -> str:
        return str(Activity.objects.filter(job=self.job).latest("pk"))

    def test_it_shows_the_job_to_whom_it_is_shared_with(self) -> None:
        assert not Job.objects.visible_to(self.bob).exists()
        assert self.job.share(self.bob, by=self.alice)
        assert list(Job.objects.visible_to(self.bob)) == [self.job]
        assert (self.job.may_act(self.bob), self.job.may_give(self.bob)) == (False, False)
        assert self.newest() == "Shared with bob, who may look"

    def test_it_lets_them_act(self) -> None:
        self.job.share(self.bob, may_act=True, by=self.alice)
        assert (self.job.may_act(self.bob), self.job.may_give(self.bob)) == (True, False)
        assert self.newest() == "Shared with bob, who may act"

    def test_it_lets_act_whoever_could_look(self) -> None:
        self.job.share(self.bob)
        assert self.job.share(self.bob, may_act=True)
        assert (self.job.shares.count(), self.job.may_act(self.bob)) == (1, True)

    def test_it_shares_once(self) -> None:
        self.job.share(self.bob)
        assert not self.job.share(self.bob)
        assert self.job.activities.filter(verb="share").count() == 1

    def test_it_takes_it_back(self) -> None:
        self.job.share(self.bob, may_act=True)
        assert self.job.unshare(self.bob, by=self.alice)
        assert not self.job.may_act(self.bob)
        assert not Job.objects.visible_to(self.bob).exists()
        assert self.newest() == "No longer shared with bob"
        assert not self.job.unshare(self.bob)

    def test_it_shares_nothing_with_its_owner(self) -> None:
        with self.assertRaisesMessage(Refused, "The job is alice’s own."):
            self.job.share(self.alice)

    def test_it_shares_with_so_many(self) -> None:
        for at in range(100):
            self.job.shares.create(person=User.objects.create(username=f"p{at}"))
        with self.assertRaisesMessage(Refused, "A job can be shared with 100 people at most."):
            self.job.share(self.bob)

    def test_it_lets_staff_look_and_only_some_act(self) -> None:
        auditor = User.objects.create_user("audit", is_staff=True)
        assert list(Job.objects.visible_to(auditor)) == [self.job]
        assert (self.job.may_act(auditor), self.job.may_act(self.sam)) == (False, True)

    def test_it_shares_no_deleted_job(self) -> None:
        self.job.share(self.bob)
        actions.delete(self.job)
        for verb in (lambda: self.job.share(self.sam), lambda: self.job.rename("x"), lambda: self.job.give(self.bob)):
            with self.assertRaisesMessage(Refused, "The job is being deleted."):
                verb()
        assert not Job.objects.visible_to(self.bob).exists()

    def test_it_finds_people_by_name_or_address(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(email="bob@example.org")
        assert person_called(" bob ") == person_called("Bob@example.org") == self.bob

    def test_it_finds_nobody_else(self) -> None:
        User.objects.create_user("gone", is_active=False)
        for name in ("eve", "gone", "eve@example.org", "b\0b"):
            with self.assertRaisesMessage(Refused, f"There is nobody called “{name.replace(chr(0), '')}” here."):
                person_called(name)
        with self.assertRaisesMessage(Refused, "Say who: a user name or an e-mail address."):
            person_called(" ")

    def test_it_does_not_guess_between_two(self) -> None:
        User.objects.filter(pk__in=[self.bob.pk, self.alice.pk]).update(email="team@example.org")
        with self.assertRaisesMessage(Refused, "There is nobody called “team@example.org” here."):
            person_called("team@example.org")


class NamedLikeAnAddressTests(People):
    def test_it_gives_nothing_to_who_is_called_like_somebody_s_address(self) -> None:
        User.objects.filter(pk=self.bob.pk).update(email="bob@example.org")
        User.objects.create_user("bob@example.org")
        with self.assertRaisesMessage(Refused, "There is nobody called “bob@example.org” here."):
            person_called("bob@example.org")
        assert person_called("bob") == self.bob

    def test_it_finds_who_is_called_like_their_own_address(self) -> None:
        eve = User.objects.create_user("eve@example.org", email="Eve@example.org")
        assert person_called("eve@example.org") == eve


class NameTests(People):
    def setUp(self) -> None:
        self.job = loaded(self.alice, start=False)

    def test_it_has_another_name(self) -> None:
        assert self.job.rename("  Addresses \n of\u202e May ", self.alice)
        assert Job.objects.get().name == "Addresses  of May"
        assert str(self.job.activities.latest("pk")) == "Renamed from rows.csv to Addresses  of May"

    def test_it_keeps_its_name(self) -> None:
        assert not self.job.rename(self.job.name)
        assert not self.job.activities.filter(verb="rename").exists()

    def test_it_needs_a_name_of_some_length(self) -> None:
        for name, why in ((" \n", "A job needs a name."), ("x" * 201, "A name has 200 characters at most.")):
            with self.assertRaisesMessage(Refused, why):
                self.job.rename(name)

    def test_it_tells_viewers(self) -> None:
        before = self.job.seq
        self.job.rename("Other")
        assert Job.objects.get().seq == before + 1


class GivingTests(People):
    def give(self, job: Job, **more: Any) -> None:
        job.give(self.bob, **{"by": self.alice} | more)

    def test_it_belongs_to_somebody_else(self) -> None:
        job = worked(self.alice)
        job.share(self.bob)
        self.give(job)
        assert (job.owner, job.shares.count()) == (self.bob, 0)
        assert not Job.objects.visible_to(self.alice).exists()
        assert str(job.activities.latest("pk")) == "Gave the job to bob"

    def test_it_says_whose_it_was_when_another_gave_it(self) -> None:
        job = worked(self.alice)
        self.give(job, by=self.sam)
        assert str(job.activities.latest("pk")) == "Gave the job of alice to bob"

    def test_it_stays_where_it_belongs(self) -> None:
        job = worked(self.alice)
        assert not job.give(self.alice)
        assert not job.activities.filter(verb="give").exists()

    def test_it_takes_its_file_along(self) -> None:
        job = worked(self.alice)
        self.give(job)
        assert Upload.objects.get().owner == self.bob

    def test_it_leaves_a_file_that_another_job_needs(self) -> None:
        job = worked(self.alice)
        other = Job.objects.create(owner=self.alice, upload=job.upload, processor="simulate")
        self.give(job)
        assert Upload.objects.get().owner == self.alice
        self.give(other)
        assert Upload.objects.get().owner == self.bob

    def test_it_takes_the_files_of_corrections_along(self) -> None:
        job = worked(self.alice)
        sent = Upload.keep(ContentFile(b"row\n1\n"), "fixed.csv", self.alice)
        Run.objects.create(job=job, number=2, kind=Run.Kind.CORRECTION, upload=sent)
        self.give(job)
        assert set(Upload.objects.values_list("owner", flat=True)) == {self.bob.pk}

    @override_settings(JOBS_MAX_RUNNING_JOBS=1)
    def test_it_leaves_nobody_with_more_than_one_may_have(self) -> None:
        make_job(self.bob)
        job, done = make_job(self.alice), worked(self.sam)
        with self.assertRaisesMessage(Refused, "bob has as many jobs that have not ended as one person may have."):
            self.give(job)
        assert Job.objects.get(pk=job.pk).owner == self.alice
        self.give(done)

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_brings_nobody_more_files_than_one_may_have(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=9):
            job, small = worked(self.alice, LARGE), worked(self.alice)
        Upload.keep(ContentFile(b"x" * 400_000), "own.csv", self.bob)
        sentence = "bob has no room for this job: with it it would be 1.9 MB, and 1 MB are allowed."
        with self.assertRaisesMessage(Refused, sentence):
            self.give(job)
        assert job.owner == Job.objects.get(pk=job.pk).owner == self.alice
        assert Upload.objects.get(pk=job.upload_id).owner == self.alice
        assert not job.activities.filter(verb="give").exists()
        self.give(small)

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_counts_the_files_of_corrections_too(self) -> None:
        job = worked(self.alice)
        sent = Upload.keep(ContentFile(b"x" * 900_000), "fixed.csv", self.alice)
        Run.objects.create(job=job, number=2, kind=Run.Kind.CORRECTION, upload=sent)
        Upload.keep(ContentFile(b"x" * 200_000), "own.csv", self.bob)
        with self.assertRaisesMessage(Refused, "bob has no room for this job"):
            self.give(job)

    @override_settings(JOBS_MAX_STORED_MB=1)
    def test_it_asks_for_room_for_the_file_only_where_it_comes_along(self) -> None:
        with override_settings(JOBS_MAX_STORED_MB=9):
            job = worked(self.alice, LARGE)
        Job.objects.filter(pk=job.pk).update(stored=0)
        Job.objects.create(owner=self.alice, upload=job.upload, processor="simulate")
        Upload.keep(ContentFile(b"x" * 900_000), "own.csv", self.bob)
        self.give(job)
        assert (job.owner, job.upload.owner) == (self.bob, self.alice)

    def test_it_gives_to_whom_their_own_quota_leaves_room(self) -> None:
        Quota.objects.create(person=self.bob, stored_mb=1)
        Upload.keep(ContentFile(b"x" * 400_000), "own.csv", self.bob)
        job = worked(self.alice, LARGE)
        with self.assertRaisesMessage(Refused, "1 MB are allowed."):
            self.give(job)
        Quota.objects.update(stored_mb=0)
        self.give(job)
        assert job.owner == self.bob

    def test_it_charges_corrections_that_another_person_sent_to_the_owner(self) -> None:
        job = worked(self.alice, csv_of(2, lambda at: "fail:Red"))
        sent = Upload.keep(ContentFile(b"row,simulate\n1,ok\n"), "fixed.csv", self.bob)
        actions.correct_from(job, sent, self.bob)
        assert Upload.objects.get(pk=sent.pk).owner == self.alice
        self.bob.delete()
        assert job.runs.get(kind="correction").upload == sent

    def test_it_lets_their_former_owner_be_deleted(self) -> None:
        self.give(worked(self.alice))
        self.alice.delete()
        assert (Job.objects.count(), Upload.objects.count()) == (1, 1)

    def test_it_passes_a_file_on_with_the_last_job_of_its_owner(self) -> None:
        job = worked(self.alice)
        other = Job.objects.create(owner=self.bob, upload=job.upload, processor="simulate")
        retention.prune(job, keep_results=False)
        assert (Job.objects.get(), Upload.objects.get().owner) == (other, self.bob)
        self.alice.delete()

    def test_it_charges_a_file_that_another_person_brought_to_the_owner(self) -> None:
        job = loaded(self.alice, start=False)
        sent = Upload.keep(ContentFile(csv_of(3).encode()), "other.csv", self.bob)
        actions.change(job, self.bob, upload=sent)
        assert (Job.objects.get().upload, Upload.objects.get(pk=sent.pk).owner) == (sent, self.alice)

    def test_it_tells_both_people(self) -> None:
        job = worked(self.alice)
        with patch.object(events, "tell") as tell, self.captureOnCommitCallbacks(execute=True):
            self.give(job)
        told = {call.args[0] for call in tell.call_args_list}
        assert told == {events.person_group(self.alice.pk), events.person_group(self.bob.pk)}


class OfferTests(People):
    def setUp(self) -> None:
        self.job = worked(self.alice)

    def told(self) -> list[str]:
        return list(self.job.activities.filter(verb="offer").order_by("pk").values_list("text", flat=True))

    def test_it_is_offered_once(self) -> None:
        assert self.job.offer_to(self.bob, self.alice)
        assert not self.job.offer_to(self.bob, self.alice)
        assert not self.job.offer_to(self.alice, self.alice)
        assert self.told() == ["Offered the job to bob"]

    def test_it_takes_no_room_before_it_is_taken(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        assert Quota.used(self.bob) == 0
        self.job.take(self.bob)
        assert Quota.used(self.bob) > 0
        assert self.told() == ["Offered the job to bob", "bob took the job"]

    def test_it_is_not_taken_by_whom_it_has_no_room_with(self) -> None:
        Quota.objects.create(person=self.bob, stored_mb=1)
        Job.objects.filter(pk=self.job.pk).update(stored=1_000_000)
        self.job.offer_to(self.bob, self.alice)
        with self.assertRaisesMessage(Refused, "bob has no room for this job"):
            self.job.take(self.bob)
        assert (Job.objects.get().owner, Offer.objects.count()) == (self.alice, 1)

    def test_it_is_taken_by_nobody_else(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        for verb in (self.job.take, self.job.decline):
            with self.assertRaisesMessage(Refused, "The job is not offered to you any more."):
                verb(self.sam)

    def test_it_is_declined(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        self.job.decline(self.bob)
        assert self.told()[-1] == "bob declined the job"
        with self.assertRaises(Refused):
            self.job.take(self.bob)

    def test_it_is_offered_to_somebody_else_instead(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        self.job.offer_to(self.sam, self.alice)
        with self.assertRaises(Refused):
            self.job.take(self.bob)
        self.job.take(self.sam)
        assert not Offer.objects.exists()

    def test_it_is_offered_no_more_once_it_was_given(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        self.job.give(self.sam, self.sam)
        with self.assertRaises(Refused):
            self.job.take(self.bob)

    def test_it_fills_nobody_s_list(self) -> None:
        for _ in range(20):
            other = Job.objects.create(owner=self.alice, upload=self.job.upload, processor="simulate")
            other.offer_to(self.bob, self.alice)
        with self.assertRaisesMessage(Refused, "20 jobs that you offered wait for an answer of bob already."):
            self.job.offer_to(self.bob, self.alice)

    def test_it_goes_with_the_job(self) -> None:
        self.job.offer_to(self.bob, self.alice)
        retention.prune(self.job, keep_results=False)
        assert not Offer.objects.exists()


class ActivityTests(People):
    def test_it_tells_the_newest_first_and_goes_on_from_a_key(self) -> None:
        job = worked(self.alice)
        every = list(job.activities.told())
        assert [one.text for one in every] == ["Finished", "Started", "Created from rows.csv"]
        assert list(job.activities.told(every[0].pk)) == every[1:]

    def test_it_knows_the_run_that_was_ordered(self) -> None:
        job = loaded(self.alice, start=False)
        actions.start(job, self.alice)
        assert job.activities.get(verb="start").run == job.run

    def test_it_leads_to_the_file_of_corrections_while_that_is_there(self) -> None:
        job = worked(self.alice)
        sent = Upload.keep(ContentFile(b"row\n1\n"), "fixed.csv", self.alice)
        run = Run.objects.create(job=job, number=2, kind=Run.Kind.CORRECTION, upload=sent)
        job.note("correct", "Uploaded corrections", self.alice, run=run)
        assert job.activities.told()[0].correction == 2
        Upload.objects.filter(pk=sent.pk).update(file="")
        assert job.activities.told()[0].correction is None
