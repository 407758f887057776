"""Every address × everybody: what comes of it? A new address needs a line in the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.backends import ModelBackend as StockBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from jobs.models import Job, Run, Share, Upload
from tests.base import People, csv_of, undone, worked
from tests.views.fixed import operator

WHO = ("owner", "look", "act", "stranger", "staff look", "staff act", "nobody")
SEEN = (200, 200, 200, 404, 200, 200, 302)
ACTED = (302, 403, 302, 404, 403, 302, 302)
GIVEN = (302, 403, 403, 404, 403, 302, 302)
EVERYBODY = (200,) * 6 + (302,)

# name of the address, method, what each of WHO gets
OF_A_JOB: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("detail", "get", SEEN),
    ("snapshot", "get", SEEN),
    ("cells", "get", SEEN),
    ("series", "get", SEEN),
    ("setup", "get", SEEN),
    ("items", "get", SEEN),
    ("item", "get", SEEN),
    ("results", "get", SEEN),
    ("failed", "get", SEEN),
    ("problems", "get", SEEN),
    ("activity", "get", SEEN),
    ("correction_file", "get", SEEN),
    ("causes", "get", SEEN),
    ("corrections", "get", (200, 403, 200, 404, 403, 200, 302)),
    ("corrections", "post", (422, 403, 422, 404, 403, 422, 302)),
    ("correct", "post", (410, 403, 410, 404, 403, 410, 302)),
    ("start", "post", ACTED),
    ("try", "post", ACTED),
    ("adjust", "post", ACTED),
    ("pause", "post", ACTED),
    ("resume", "post", ACTED),
    ("cancel", "post", ACTED),
    ("retry", "post", ACTED),
    ("retry", "get", (200, 403, 200, 404, 403, 200, 302)),
    ("accept", "post", ACTED),
    ("accept", "get", (200, 403, 200, 404, 403, 200, 302)),
    ("edit", "get", (302, 403, 302, 404, 403, 302, 302)),  # the first row has succeeded, which its page says
    ("edit", "post", (422, 403, 422, 404, 403, 422, 302)),
    ("rename", "post", ACTED),
    ("change", "get", ACTED),  # a job that has begun is left as it is, and its page says why
    ("change", "post", ACTED),
    ("share", "post", GIVEN),
    ("unshare", "post", GIVEN),
    ("give", "post", GIVEN),
    ("withdraw", "post", GIVEN),
    ("take", "post", (404,) * 6 + (302,)),  # it is offered to none of them
    ("decline", "post", (404,) * 6 + (302,)),
    ("delete", "post", GIVEN),
)
OF_A_PERSON: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("list", "get", EVERYBODY),
    ("list_snapshot", "get", EVERYBODY),
    ("new", "get", EVERYBODY),
    ("processor_fields", "get", EVERYBODY),
    ("preview", "post", EVERYBODY),
    ("hints", "post", EVERYBODY),
    ("new", "post", (422,) * 6 + (302,)),
    ("uploads", "post", (422,) * 6 + (302,)),
    ("sample", "post", (404,) * 6 + (302,)),
    ("upload", "delete", (404, 404, 404, 404, 404, 404, 302)),  # the key of a file that is none of theirs
)
# Those that need no rights, and those of one's own account.
OTHERS = ("readyz", "enter", "login", "account_login", "logout", "password_reset", "password_reset_done",
          "password_reset_complete", "password_reset_confirm", "mfa_authenticate", "mfa_login_webauthn",
          "company_login", "openid_connect_callback")  # fmt: skip
# Name, method, what everybody gets who signed in. A change of second factors first asks who it is.
OWN: tuple[tuple[str, str, int], ...] = (
    ("password_change", "get", 200),
    ("password_change_done", "get", 200),
    ("sessions", "get", 200),
    ("end_session", "post", 302),
    ("account_reauthenticate", "get", 200),
    ("mfa_reauthenticate", "get", 302),
    ("mfa_reauthenticate_webauthn", "get", 302),
    ("mfa_index", "get", 200),
    ("mfa_activate_totp", "get", 302),
    ("mfa_deactivate_totp", "get", 404),
    ("mfa_view_recovery_codes", "get", 404),
    ("mfa_generate_recovery_codes", "get", 302),
    ("mfa_add_webauthn", "get", 302),
    ("mfa_remove_webauthn", "post", 302),
)
MORE: dict[str, list[Any]] = {"item": [1], "edit": [1], "results": ["csv"], "correction_file": [2]}


def names(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """The names of all addresses but the admin's, which are tested beside it."""
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace != "admin":
            yield from names(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else "")
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.name)


class RightsTests(People):
    job: Job
    guest: ClassVar[Share]
    everybody: ClassVar[dict[str, User | None]]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.job = worked(cls.alice, csv_of(3, lambda at: "fail:Broken" if at else "ok"))
        looker, actor = User.objects.create_user("lena"), User.objects.create_user("adam")
        gast = User.objects.create_user("gast")
        auditor = User.objects.create_user("audit", is_staff=True)
        cls.job.share(looker)
        cls.job.share(actor, may_act=True)
        cls.job.share(gast)
        cls.guest = cls.job.shares.get(person=gast)
        sent = Upload.keep(ContentFile(b"row\n1\n"), 'rows "1".csv', actor)
        Run.objects.create(job=cls.job, number=2, kind=Run.Kind.CORRECTION, upload=sent)
        people = (cls.alice, looker, actor, cls.bob, auditor, operator(), None)
        cls.everybody = dict(zip(WHO, people, strict=True))

    def as_(self, who: str, **options: Any) -> Client:
        client, person = Client(**options), self.everybody[who]
        if person:
            client.force_login(person)
        return client

    def path(self, name: str) -> str:
        more = [self.guest.pk] if name == "unshare" else MORE.get(name, [])
        return reverse(f"jobs:{name}", args=[self.job.code, *more])

    def test_it_has_a_line_for_every_address(self) -> None:
        known = {f"jobs:{name}" for name, _, _ in (*OF_A_JOB, *OF_A_PERSON)}
        assert set(names()) == known | set(OTHERS) | {name for name, _, _ in OWN}

    def test_it_shows_everybody_only_their_own_account(self) -> None:
        for name, method, status in OWN:
            path = reverse(name, args=[10**6] if name == "mfa_remove_webauthn" else [])
            assert getattr(self.as_("nobody"), method)(path)["Location"].startswith("/accounts/login/"), name
            person = Client()
            person.force_login(self.bob)
            with self.subTest(name=name):
                assert getattr(person, method)(path).status_code == status

    def test_it_shows_and_obeys_whoever_may(self) -> None:
        for name, method, statuses in OF_A_JOB:
            for who, expected in zip(WHO, statuses, strict=True):
                with self.subTest(name=name, method=method, who=who), undone():
                    assert getattr(self.as_(who), method)(self.path(name)).status_code == expected

    def test_it_knows_no_job_that_is_not_there(self) -> None:
        for name, method, _ in OF_A_JOB:
            path = self.path(name).replace(self.job.code, "nosuchjob")
            assert getattr(self.as_("staff act"), method)(path).status_code == 404, name

    def test_it_answers_everybody_who_signed_in(self) -> None:
        for name, method, statuses in OF_A_PERSON:
            for who, expected in zip(WHO, statuses, strict=True):
                with self.subTest(name=name, method=method, who=who):
                    path = reverse(f"jobs:{name}", args=[10**6] if name == "upload" else [])
                    assert getattr(self.as_(who), method)(path).status_code == expected

    def test_it_changes_nothing_for_whoever_may_not(self) -> None:
        before = Job.objects.values().get(pk=self.job.pk)
        for name, method, statuses in OF_A_JOB:
            for who, status in zip(WHO, statuses, strict=True):
                if method == "post" and (status in (403, 404) or who == "nobody"):
                    fields = {"name": "Mine", "person": "bob", "may": "act", "workers": 3, "initial-workers": 10}
                    self.as_(who).post(self.path(name), fields)
        assert Job.objects.values().get(pk=self.job.pk) == before
        assert self.job.shares.count() == 3

    def test_it_says_who_may_do_it(self) -> None:
        page = self.as_("look").post(self.path("pause")).content.decode()
        assert "You may look at this job. alice may do this, and whoever alice lets act." in page
        page = self.as_("act").post(self.path("delete")).content.decode()
        assert "Only alice, whose job this is, and administrators may do this." in page

    def test_it_draws_no_button_that_would_be_refused(self) -> None:
        for who in ("look", "staff look"):
            answer = self.as_(who).get(self.path("detail"))
            page = answer.content.decode()
            assert answer.context["frame"]["actions"] == []
            assert "data-may-act" not in page
            for absent in ("/delete/", "/give/", "/rename/", 'id="share-person"'):
                assert absent not in page, absent

    def test_it_draws_no_button_of_a_cause_that_would_be_refused(self) -> None:
        for who, drawn in (("look", False), ("staff look", False), ("act", True)):
            for name in ("detail", "causes"):
                page = self.as_(who).get(self.path(name)).content.decode()
                for button in ('class="cause-accept"', '<form data-verb="retry"'):
                    assert (button in page) == drawn, (who, name, button)

    def test_it_draws_the_buttons_of_those_who_may_act(self) -> None:
        for who, whole in (("owner", True), ("act", False), ("staff act", True)):
            answer = self.as_(who).get(self.path("detail"))
            page = answer.content.decode()
            assert "retry" in answer.context["frame"]["actions"], who
            assert "data-may-act" in page, who
            assert "/rename/" in page, who
            assert ("/delete/" in page, "/give/" in page) == (whole, whole), who

    def test_it_lists_what_is_shared_and_says_whose_it_is(self) -> None:
        answer = self.as_("look").get("/")
        assert [row["code"] for row in answer.context["jobs"]] == [self.job.code]
        assert "shared by alice" in answer.content.decode()
        assert len(self.as_("look").get("/jobs/list.json").json()["rows"]) == 1
        assert self.as_("stranger").get("/jobs/list.json").json()["rows"] == []

    def test_it_lets_a_viewer_run_it_again_as_their_own(self) -> None:
        page = self.as_("look").get(f"/jobs/new/?again={self.job.code}")
        assert f'name="upload" id="id_upload" value="{self.job.upload.pk}"' in page.content.decode()
        answer = self.as_("look").post("/jobs/new/", {"processor": "simulate", "upload": self.job.upload.pk})
        made = Job.objects.exclude(pk=self.job.pk).get()
        assert (answer.status_code, made.owner, made.upload) == (302, self.everybody["look"], self.job.upload)
        assert self.as_("stranger").get(f"/jobs/new/?again={self.job.code}").status_code == 404

    def test_it_keeps_the_other_jobs_of_the_owner_to_itself(self) -> None:
        other = worked(self.alice, csv_of(3, lambda at: "fail:Broken" if at else "ok"))
        Job.objects.filter(pk=other.pk).update(name="A secret name")
        sent = {"processor": "simulate", "upload": self.job.upload.pk, "workers": "none"}
        page = self.as_("look").post("/jobs/new/", sent)
        assert page.status_code == 422
        assert "A secret name" not in page.content.decode()
        assert self.as_("look").get(other.get_absolute_url()).status_code == 404

    async def test_it_gives_a_file_of_corrections_as_it_came(self) -> None:
        client, looker = self.async_client, self.everybody["look"]
        assert looker
        await client.aforce_login(looker)
        answer: Any = await client.get(self.path("correction_file"))
        assert b"".join([chunk async for chunk in answer.streaming_content]) == b"row\n1\n"
        assert answer["Content-Disposition"] == 'attachment; filename="rows \\"1\\".csv"'
        assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
        assert answer["Content-Length"] == "6"

    def test_it_has_no_file_of_a_run_without_one(self) -> None:
        assert self.as_("owner").get(self.path("correction_file").replace("/2/", "/1/")).status_code == 404
        Upload.objects.filter(runs__job=self.job).update(file="")
        assert self.as_("owner").get(self.path("correction_file")).status_code == 410


class PermissionsTests(People):
    """The permissions that one question finds are those that Django's own two find."""

    def fresh(self, name: str, **fields: Any) -> User:
        User.objects.filter(username=name).update(**fields)
        return User.objects.get(username=name)

    def test_they_come_from_the_person_and_from_groups(self) -> None:
        act, look = (Permission.objects.get(codename=name) for name in ("change_job", "view_job"))
        group = Group.objects.create(name="operators")
        person = User.objects.create_user("gwen", is_staff=True)
        for held, groups in (([], []), ([act], []), ([], [group]), ([look], [group]), ([act, look], [group])):
            group.permissions.set([act, look])
            person.user_permissions.set(held)
            person.groups.set(groups)
            ours, stock = self.fresh("gwen"), self.fresh("gwen")
            with self.assertNumQueries(1):
                assert ours.has_perm("jobs.change_job") == bool(groups or act in held)
            assert ours.get_all_permissions() == StockBackend().get_all_permissions(stock)

    def test_nobody_has_them_who_is_not_active(self) -> None:
        person = operator()
        assert not self.fresh(person.username, is_active=False).get_all_permissions()
        assert not AnonymousUser().has_perm("jobs.change_job")

    def test_a_superuser_has_all(self) -> None:
        assert self.sam.get_all_permissions() == StockBackend().get_all_permissions(self.fresh("sam"))
