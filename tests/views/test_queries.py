"""What pages ask the database, whoever looks: few questions, and as many for 600 items as for 6."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import actions, tasks
from jobs.models import Cause, Job, Upload
from tests.base import People, csv_of, loaded, worked
from tests.views.fixed import STATES, job_in, operator

MOST = 15


def failing(at: int) -> str:
    return ("ok", "fail:Red", "fail:Blue")[at % 3]


def fixed_once(owner: User, rows: int) -> Job:
    """A job with failures of two causes, of which one row was edited and another accepted."""
    job = worked(owner, csv_of(rows, failing))
    upload = Upload.keep(ContentFile(b"row,name\n2,renamed\n"), "failed.csv", owner)
    actions.correct_from(job, upload, owner)
    tasks.work()
    actions.accept(job, owner, positions=[2])
    job.refresh_from_db()
    return job


def cut_short(owner: User, rows: int) -> Job:
    """A job that was cancelled with everything still to do."""
    job = loaded(owner, csv_of(rows, failing))
    actions.cancel(job, owner)
    return job


class QueriesTests(People):
    few: ClassVar[list[Job]]
    many: ClassVar[list[Job]]
    everybody: ClassVar[dict[str, User]]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        groups = [[make(cls.alice, rows) for make in (fixed_once, cut_short)] for rows in (6, 600)]
        cls.few, cls.many = groups
        looker = User.objects.create_user("lena")
        auditor = User.objects.create_user("audit", is_staff=True)
        for job in cls.few + cls.many:
            job.share(cls.bob, may_act=True)
            job.share(looker)
        cls.everybody = {"owner": cls.alice, "act": cls.bob, "look": looker, "staff look": auditor,
                         "staff act": operator(), "superuser": cls.sam}  # fmt: skip

    def asked(self, who: str, path: str) -> int:
        client = Client()
        client.force_login(self.everybody[who])
        client.get(path)  # content types are kept once they were asked for
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path)
        assert answer.status_code == 200, (who, path, answer.status_code)
        # What begins and ends a transaction asks nothing.
        return sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE")) for query in queries)

    def compared(self, who: str, paths: list[str], of: int = 0) -> None:
        for path in paths:
            with self.subTest(who=who, path=path):
                few, many = (
                    self.asked(who, path.format(code=job.code, pk=job.pk, cause=self.cause(job), item=self.item(job)))
                    for job in (self.few[of], self.many[of])
                )
                assert few == many <= MOST

    def cause(self, job: Job) -> int:
        return job.causes.order_by("pk").values_list("pk", flat=True).first() or 0

    def item(self, job: Job) -> int:
        return job.items.values_list("pk", flat=True).get(position=1)

    def test_it_asks_few_questions_whoever_looks(self) -> None:
        for who in self.everybody:
            self.compared(who, [
                "/", "/jobs/{code}/", "/jobs/{code}/snapshot.json", "/jobs/{code}/items/",
                "/jobs/{code}/?state=failed&cause={cause}", "/jobs/{code}/items/1/", "/jobs/{code}/items/2/",
                "/jobs/{code}/causes/", "/jobs/{code}/activity/", "/jobs/{code}/setup/",
            ])  # fmt: skip

    def test_it_asks_few_questions_of_whoever_acts(self) -> None:
        for who in ("owner", "act", "staff act", "superuser"):
            self.compared(who, [
                "/jobs/{code}/retry/", "/jobs/{code}/retry/?cause={cause}", "/jobs/{code}/retry/?rows=1-6",
                "/jobs/{code}/accept/", "/jobs/{code}/accept/?cause={cause}", "/jobs/{code}/accept/?rows=1-6",
                "/jobs/{code}/items/2/edit/", "/jobs/{code}/corrections/",
            ])  # fmt: skip

    def test_it_asks_few_questions_about_what_was_never_attempted(self) -> None:
        for who in ("owner", "act", "staff act"):
            self.compared(who, [
                "/jobs/{code}/", "/jobs/{code}/items/2/", "/jobs/{code}/items/2/edit/", "/jobs/{code}/retry/",
                "/jobs/{code}/retry/?rows=1-6",
            ], of=1)  # fmt: skip

    def test_it_asks_few_questions_in_the_admin(self) -> None:
        for who in ("staff look", "staff act", "superuser"):
            self.compared(who, [
                "/admin/", "/admin/jobs/job/", "/admin/jobs/job/{pk}/change/", "/admin/jobs/item/?job={code}",
                "/admin/jobs/item/?job={code}&state=failed&cause={cause}", "/admin/jobs/item/{item}/change/",
                "/admin/jobs/cause/", "/admin/jobs/cause/{cause}/change/", "/admin/jobs/worker/",
                "/admin/jobs/activity/",
            ])  # fmt: skip

    def test_it_asks_few_questions_about_very_many_causes(self) -> None:
        job = self.few[0]
        made = Cause.objects.bulk_create(
            Cause(job=job, signature=f"{at:032}", kind="E", title=f"odd {at}", sample="", count=1, first=0, last=0)
            for at in range(40)
        )
        for who in ("owner", "act", "staff act"):
            for query in ("", f"?state=failed&cause={made[0].pk}", f"?cause={made[-1].pk}"):
                with self.subTest(who=who, query=query):
                    assert self.asked(who, f"{job.get_absolute_url()}{query}") <= MOST

    def test_it_asks_few_questions_in_each_state(self) -> None:
        for state in STATES:
            job = job_in(state, self.alice)
            job.share(self.bob, may_act=True)
            for who in ("owner", "act", "staff act"):
                for path in ("", "?state=newest", "?state=failed", "items/2/"):
                    with self.subTest(state=state, who=who, path=path):
                        assert self.asked(who, f"{job.get_absolute_url()}{path}") <= MOST

    def test_it_asks_as_much_for_more_people_and_more_that_was_done(self) -> None:
        job = self.few[0]
        paths = [f"/jobs/{job.code}/", f"/jobs/{job.code}/activity/", f"/jobs/{job.code}/items/2/"]
        before = [self.asked("owner", path) for path in paths]
        for at in range(30):
            job.share(User.objects.create(username=f"p{at}"), by=self.sam)
        assert [self.asked("owner", path) for path in paths] == before
