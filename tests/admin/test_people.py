"""People in the admin: what they have, what they may have, and who may change whom."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from jobs.models import Quota, Upload
from tests.admin.test_admin import AdminCase
from tests.base import loaded, make_job, worked

URL = "/admin/auth/user/"


class PeopleTests(AdminCase):
    def test_it_makes_people_who_can_sign_in(self) -> None:
        password = "carol-likes-coffee"
        form = {"username": "carol", "password1": password, "password2": password, "usable_password": "true"}
        assert self.client.post("/admin/auth/user/add/", form).status_code == 302
        self.client.logout()
        assert self.client.login(username="carol", password=password)

    def test_it_changes_somebodys_password(self) -> None:
        password = "bob-likes-coffee"
        form = {"password1": password, "password2": password, "usable_password": "true"}
        assert self.client.post(f"/admin/auth/user/{self.bob.pk}/password/", form).status_code == 302
        assert self.client.login(username="bob", password=password)

    def row(self, person: User) -> Any:
        shown = self.client.get(URL).context["cl"].result_list
        return next(one for one in shown if one == person)

    def test_it_shows_what_people_have(self) -> None:
        worked(self.alice)
        loaded(self.alice)
        alice = self.row(self.alice)
        assert (alice.unended_jobs, alice.stored_bytes) == (1, Quota.used(self.alice))
        assert self.row(self.bob).unended_jobs is None

    @override_settings(JOBS_MAX_RUNNING_JOBS=50, JOBS_MAX_STORED_MB=0)
    def test_it_shows_what_people_may_have(self) -> None:
        Quota.objects.create(person=self.alice, running_jobs=2, stored_mb=1_500)
        body = self.client.get(URL).content.decode()
        assert '<td class="field-may_have">2, 1,500</td>' in body
        assert '<td class="field-may_have">50, any</td>' in body

    def form(self, person: User, **fields: Any) -> dict[str, Any]:
        """What the form of the person sends."""
        quota = {"quota-TOTAL_FORMS": "1", "quota-INITIAL_FORMS": "0", "quota-0-person": person.pk}
        return {"username": person.username, "is_active": "on"} | quota | fields

    def test_it_sets_a_quota(self) -> None:
        form = self.form(self.alice, **{"quota-0-running_jobs": "3", "quota-0-stored_mb": ""})
        assert self.client.post(f"{URL}{self.alice.pk}/change/", form).status_code == 302
        assert Quota.objects.values_list("person", "running_jobs", "stored_mb").get() == (self.alice.pk, 3, None)

    def test_it_makes_no_quota_of_an_empty_form(self) -> None:
        assert self.client.post(f"{URL}{self.alice.pk}/change/", self.form(self.alice)).status_code == 302
        assert not Quota.objects.exists()

    def test_it_deletes_nobody_who_has_jobs(self) -> None:
        job = make_job(self.alice)
        assert self.client.post(f"{URL}{self.alice.pk}/delete/", {"post": "yes"}).status_code == 200
        self.client.post(URL, {"action": "delete_selected", "_selected_action": [self.alice.pk], "post": "yes"})
        job.refresh_from_db()
        assert self.client.post(f"{URL}{self.bob.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not User.objects.filter(pk=self.bob.pk).exists()

    def test_it_deletes_nobody_who_has_files(self) -> None:
        Upload.keep(ContentFile(b"name\na\n"), "rows.csv", self.alice)
        page = self.client.post(f"{URL}{self.alice.pk}/delete/", {"post": "yes"})
        self.assertContains(page, "alice: 1 file that jobs need")
        assert User.objects.filter(pk=self.alice.pk).exists()

    def test_it_asks_as_many_questions_for_20_people_as_for_2(self) -> None:
        asked = []
        for count in (2, 18):
            for at in range(count):
                loaded(User.objects.create(username=f"{count}-{at}"))
            with CaptureQueriesContext(connection) as queries:
                self.client.get(URL)
            asked.append(len(queries))
        assert asked[0] == asked[1] <= 8


class PowerTests(AdminCase):
    """Who may change people is not therefore able to do everything."""

    def setUp(self) -> None:
        self.clerk = User.objects.create_user("clerk", is_staff=True)
        self.clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "change_user")))
        self.client.force_login(self.clerk)

    def test_it_gives_nobody_more_than_they_have(self) -> None:
        form = {"username": "clerk", "is_active": "on", "is_superuser": "on", "first_name": "Kim",
                "quota-TOTAL_FORMS": "0", "quota-INITIAL_FORMS": "0"}  # fmt: skip
        assert self.client.post(f"{URL}{self.clerk.pk}/change/", form).status_code == 302
        self.clerk.refresh_from_db()
        assert (self.clerk.first_name, self.clerk.is_superuser, self.clerk.is_staff) == ("Kim", False, True)

    def test_it_changes_nobody_who_may_do_more(self) -> None:
        operator = User.objects.create_user("operator", is_staff=True)
        password = "anybody-likes-coffee"
        form = {"password1": password, "password2": password, "usable_password": "true"}
        for person, status in ((self.sam, 403), (operator, 403), (self.bob, 302)):
            assert self.client.post(f"{URL}{person.pk}/password/", form).status_code == status
        assert not self.client.login(username="sam", password=password)
