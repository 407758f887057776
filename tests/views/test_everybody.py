"""Every address there is × everybody. Whatever is added is closed to people until a line here says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from jobs.models import Activity, Cause, Item, Job, SecurityEvent, Worker
from tests.base import csv_of, undone, worked
from tests.live.sockets import SocketCase, socket
from tests.views.fixed import operator
from tests.views.routes import filled, routes, sockets

pytestmark = pytest.mark.django_db
# What whoever is not signed in may see, and why.
OPEN = {
    "/readyz": "probes know nobody",
    "/enter/": "signs in",
    "/accounts/login/": "signs in",
    "/accounts/login/passkey/": "signs in",
    "/accounts/logout/": "has nothing to end",
    "/accounts/password_reset/": "who forgot their password cannot sign in",
    "/accounts/password_reset/done/": "the same",
    "/accounts/reset/<uidb64>/<token>/": "the same",
    "/accounts/reset/done/": "the same",
    "/admin/login/": "signs in",
    "/admin/logout/": "has nothing to end",
}
CLOSED = (302, 401, 403, 404, 405)  # 302 to where one signs in
WHO = ("person", "staff", "operator", "superuser")
# What GET answers each of WHO at the addresses of one kind of rows in the admin.
NOT_STAFF, SEEN, REFUSED, MOVED = 302, 200, 403, 302
LOOKED_AT = {
    "": (NOT_STAFF, SEEN, SEEN, SEEN),
    "add/": (NOT_STAFF, REFUSED, REFUSED, REFUSED),
    "<object_id>/": (NOT_STAFF, MOVED, MOVED, MOVED),
    "<object_id>/change/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "<object_id>/delete/": (NOT_STAFF, REFUSED, REFUSED, REFUSED),
    "<object_id>/history/": (NOT_STAFF, SEEN, SEEN, SEEN),
}
PEOPLE = {
    "": (NOT_STAFF, REFUSED, REFUSED, SEEN),
    "add/": (NOT_STAFF, REFUSED, REFUSED, SEEN),
    "<object_id>/": (NOT_STAFF, MOVED, MOVED, MOVED),
    "<object_id>/change/": (NOT_STAFF, REFUSED, REFUSED, SEEN),
    "<object_id>/delete/": (NOT_STAFF, REFUSED, REFUSED, SEEN),
    "<object_id>/history/": (NOT_STAFF, REFUSED, REFUSED, SEEN),
}
# Who signed in from where is nobody's business but an administrator's.
WATCHED = {suffix: (*answers[:1], *((REFUSED,) * 2 if SEEN in answers else answers[1:3]), answers[3])
           for suffix, answers in LOOKED_AT.items()}  # fmt: skip
WRITTEN = ("add/", "<object_id>/change/", "<object_id>/delete/")
MODELS = {
    **{f"/admin/jobs/{name}/": LOOKED_AT for name in ("job", "item", "cause", "worker", "activity")},
    "/admin/jobs/securityevent/": WATCHED,
    "/admin/auth/group/": PEOPLE,
    "/admin/auth/user/": PEOPLE,
}
ADMIN = {
    **{model + suffix: row for model, kind in MODELS.items() for suffix, row in kind.items()},
    "/admin/auth/user/<id>/password/": (NOT_STAFF, REFUSED, REFUSED, SEEN),
    "/admin/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "/admin/<app_label>/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "/admin/<url>": (NOT_STAFF, 404, 404, 404),
    "/admin/autocomplete/": (NOT_STAFF, REFUSED, REFUSED, REFUSED),  # no field of the admin asks for it
    "/admin/jsi18n/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "/admin/password_change/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "/admin/password_change/done/": (NOT_STAFF, SEEN, SEEN, SEEN),
    "/admin/r/<content_type_id>/<object_id>/": (NOT_STAFF, MOVED, MOVED, MOVED),  # to the page of the job
    "/admin/login/": (MOVED, MOVED, MOVED, MOVED),
    "/admin/logout/": (NOT_STAFF, 405, 405, 405),
}
SOCKETS = {"/", "/ws/jobs/", "/ws/jobs/<code>/"}


@pytest.fixture
def everybody(db: None) -> dict[str, User]:
    people = (
        User.objects.create_user("alice"),
        User.objects.create_user("audit", is_staff=True),
        operator(),
        User.objects.create_superuser("sam"),
    )
    return dict(zip(WHO, people, strict=True))


@pytest.fixture
def job(everybody: dict[str, User]) -> Job:
    return worked(everybody["person"], csv_of(3, lambda at: "fail:Broken" if at else "ok"))


@pytest.fixture
def keys(job: Job, everybody: dict[str, User]) -> dict[str, Any]:
    """A row of each kind that the admin shows."""
    worker = Worker.saw("w")
    return {
        "/admin/jobs/job/": job.pk,
        "/admin/jobs/item/": Item.objects.filter(job=job).order_by("pk")[0].pk,
        "/admin/jobs/cause/": Cause.objects.filter(job=job).get().pk,
        "/admin/jobs/worker/": (worker or Worker.objects.latest("pk")).pk,
        "/admin/jobs/activity/": Activity.objects.latest("pk").pk,
        "/admin/jobs/securityevent/": SecurityEvent.objects.latest("pk").pk,
        "/admin/auth/group/": Group.objects.create(name="readers").pk,
        "/admin/auth/user/": everybody["person"].pk,
    }


def path_of(route: str, job: Job, key: Any = 1) -> str:
    kind = ContentType.objects.get_for_model(Job).pk
    return filled(
        route, code=job.code, row="1", format="csv", object_id=str(key), id=str(key), app_label="jobs",
        content_type_id=str(kind),
    )  # fmt: skip


def key_of(route: str, job: Job, keys: dict[str, Any]) -> Any:
    """Of a row of the kind that the address is about."""
    return next((key for model, key in keys.items() if route.startswith(model)), job.pk)


def test_it_is_closed_to_whoever_is_not_signed_in(job: Job) -> None:
    found = []
    for route in set(routes()) - set(OPEN):
        for method in ("get", "head", "post", "put", "patch", "delete", "options"):
            answer = getattr(Client(), method)(path_of(route, job))
            closed = answer.status_code in CLOSED
            leads = answer.get("Location", "/accounts/login/").startswith(("/accounts/login/", "/admin/login/"))
            if not (closed and leads):
                found.append((route, method, answer.status_code, answer.get("Location")))
    assert not found


def test_it_knows_what_is_open() -> None:
    assert set(OPEN) <= set(routes())


def test_it_has_a_line_for_every_address_of_the_admin() -> None:
    assert {route for route in routes() if route.startswith("/admin/")} == set(ADMIN)


@pytest.mark.parametrize("who", WHO)
def test_it_shows_the_admin_to_whoever_may(
    who: str, everybody: dict[str, User], job: Job, keys: dict[str, Any]
) -> None:
    found = []
    for route, answers in ADMIN.items():
        client = Client()
        client.force_login(everybody[who])
        answer = client.get(path_of(route, job, key_of(route, job, keys)))
        if answer.status_code != answers[WHO.index(who)]:
            found.append((route, answer.status_code, answers[WHO.index(who)]))
    assert not found


def test_it_lets_nobody_write_what_the_system_writes(
    everybody: dict[str, User], job: Job, keys: dict[str, Any]
) -> None:
    written = [f"{model}{suffix}" for model, kind in MODELS.items() if kind is not PEOPLE for suffix in WRITTEN]
    found = []
    for who, person in everybody.items():
        for route in written:
            client = Client()
            client.force_login(person)
            with undone():
                path = path_of(route, job, key_of(route, job, keys))
                status = client.post(path, {"post": "yes", "name": "x"}).status_code
            if status not in (302, 403, 405):
                found.append((who, route, status))
    assert not found


def test_it_serves_no_stored_file_by_itself(everybody: dict[str, User], job: Job) -> None:
    client = Client()
    client.force_login(everybody["superuser"])
    for prefix in ("/", "/uploads/", "/media/", "/static/", "/static/../uploads/", "/static/%2e%2e/uploads/"):
        assert client.get(f"{prefix}{job.upload.file.name}").status_code in (400, 404), prefix


def test_it_lists_no_folder_of_static_files() -> None:
    for path in ("/static/", "/static/jobs/", "/static/jobs/js/", "/static/admin/"):
        assert Client().get(path).status_code == 404, path


class SocketsOfEverybodyTests(SocketCase):
    async def test_it_has_a_line_for_every_socket(self) -> None:
        assert set(sockets()) == SOCKETS

    async def test_it_opens_none_to_whoever_is_not_signed_in(self) -> None:
        job = await self.job()
        for route in sockets():
            async with socket(filled(route, code=job.code), None) as line:
                assert line.code is not None, route

    async def test_it_opens_none_of_a_job_to_strangers(self) -> None:
        job = await self.job()
        for route in sockets():
            if "<code>" in route:
                async with socket(filled(route, code=job.code), self.bob) as line:
                    assert line.code is not None, route
