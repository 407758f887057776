"""`manage.py up`: everything that batchweb needs, in one terminal. `make run` ends here."""

from __future__ import annotations

import os
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse
from sesame.utils import get_query_string

from batchweb import celery_pool, installation, lock, machine, preload, static_files, web
from batchweb import valkey as batchweb_valkey
from batchweb.fork import PRIVATE, Fork
from batchweb.process import Service
from batchweb.supervisor import NotReady, Supervisor
from jobs.worker import heartbeat

VALKEY, WORKERS, KEEPER, WEB = range(4)  # the order of starting; stopping goes the other way
# Processes and threads that the system must allow beside the workers' processes.
ROOM = 48
# What an earlier `up` left running is ended by its guardian in this time, in seconds.
TIDY = 10.0
# How long it waits, when it stops, until what a worker could not hand back is taken back, in seconds.
HANDED_BACK = 1.0
# Advice for administrators of servers, which these processes are not: about the kernel, about Ctrl-C.
HIDDEN = ("Memory overcommit", "Hitting Ctrl+C again")


def listen(host: str, port: int) -> socket.socket:
    """The socket of the web server, taken before anything starts and kept while the web server starts again.

    Raises CommandError.
    """
    try:
        return web.listen(host, port)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise CommandError(
            f"batchweb cannot listen on {host} port {port} ({reason}). Try another one: PORT=8001 {installation.START}"
        ) from error


def hold(folder: Path) -> int:
    """Makes this the only `up` of the folder. Returns the descriptor that the guardian keeps until all is tidy.

    Raises CommandError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock.hold(folder / "up.lock")
    except lock.AlreadyLocked as error:
        raise CommandError(
            f"batchweb already runs with the data in {folder}. Stop it first, or set DATA_DIR."
        ) from error
    try:
        return lock.hold(folder / "tidy.lock", wait=TIDY)
    except lock.AlreadyLocked as error:
        raise CommandError(f"Processes of an earlier start still use {folder}. Try again in a few seconds.") from error


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def start_valkey(supervisor: Supervisor) -> None:
    """Starts the broker. It holds wake-up calls only, so one that cannot read its data, perhaps because another version
    wrote them, begins without; the keeper wakes what waits.
    """
    folder = Path(settings.DATA_DIR) / "valkey"
    try:
        supervisor.start(valkey(folder))
    except NotReady:
        supervisor.drop("valkey")
        supervisor.log.say(
            f"Valkey starts afresh, for it cannot read {batchweb_valkey.set_aside(folder)}. No job is lost."
        )
        supervisor.start(valkey(folder))


def valkey(folder: Path) -> Service:
    path = Path(settings.VALKEY_SOCKET)
    batchweb_valkey.retire(path)
    return Service(
        "valkey",
        batchweb_valkey.command(path, folder),
        level=VALKEY,
        healthy=lambda: batchweb_valkey.answers(path),
        start_within=10.0,
        stop_within=0.8,
        hidden=HIDDEN,
    )


def worker(name: str, queue: str, processes: int, gone: Callable[[int], object]) -> Service:
    """A Celery worker. On SIGTERM it gives its tasks the soft timeout of the settings, then ends them."""
    options = ["-Q", queue, "-n", f"{name}@%h", "-P", "prefork", "-c", str(processes), "-l", settings.LOG_LEVEL]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Service(
        name,
        python("-m", "batchweb.worker", *options, *quiet),
        level=WORKERS,
        env={"CELERY_SKIP_CHECKS": "1"},  # of what was checked when this command began
        hidden=HIDDEN,
        stop_within=6.6,
        forked=True,
        gone=gone,
    )


def keeper() -> Service:
    argv = python("-m", "batchweb", "keep", "--skip-checks")
    return Service("keeper", argv, level=KEEPER, stop_within=0.7, forked=True)


def first_admin() -> AbstractBaseUser:
    """The oldest active superuser; on the first start `admin`, who has no password yet and comes in by the link."""
    people = get_user_model()._default_manager
    found = people.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return found or people.create_superuser(username="admin")


class Command(BaseCommand):
    help = "Runs batchweb: Valkey, the database's migrations, the workers, the keeper and the web server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=os.environ.get("PORT") or 8000, help="default: PORT, else 8000")
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        os.umask(PRIVATE)
        if trouble := machine.clock_trouble(time.time()):
            raise CommandError(trouble)
        machine.check_room(ROOM + settings.WORKER_PROCESSES + settings.LOADER_PROCESSES)
        self.reclaimers: list[Fork] = []
        data = Path(settings.DATA_DIR)
        tidy = hold(data)
        with (
            batchweb_valkey.socket_removed(Path(settings.VALKEY_SOCKET), data),
            listen(host, port) as listener,
            Supervisor(keep_fds=(tidy,)) as supervisor,
        ):
            try:
                self.start(supervisor, listener)
                supervisor.watch()
            except (NotReady, FileNotFoundError) as error:
                raise CommandError(str(error)) from error
            finally:
                Path(settings.ADDRESS_FILE).unlink(missing_ok=True)
        for reclaimer in self.reclaimers:
            reclaimer.wait(HANDED_BACK)
            reclaimer.terminate()

    def start(self, supervisor: Supervisor, listener: socket.socket) -> None:
        supervisor.log.say(f"batchweb starts; its data are in {settings.DATA_DIR}")
        if settings.EMBEDDED_VALKEY:
            start_valkey(supervisor)
        if settings.PRODUCTION and static_files.outdated():
            supervisor.log.say(f"The static files are prepared in {settings.STATIC_ROOT} (once) …")
            static_files.collect()
        call_command("migrate", verbosity=0, interactive=False)
        admin = first_admin()
        connections.close_all()
        preload.load()
        for service in (
            worker("worker", "work", settings.WORKER_PROCESSES, self.reclaim),
            worker("loader", "load", settings.LOADER_PROCESSES, self.reclaim),
            keeper(),
            *(web.service(listener, number, WEB, forked=True) for number in range(1, settings.WEB_PROCESSES + 1)),
        ):
            supervisor.start(service)
        self.announce(supervisor, admin, listener)
        connections.close_all()

    def reclaim(self, process: int) -> None:
        """Has taken back what a worker held that is gone; not by a thread, for this process forks."""
        self.reclaimers = [reclaimer for reclaimer in self.reclaimers if reclaimer.poll() is None]
        name = celery_pool.name_of(process)
        self.reclaimers.append(Fork(partial(heartbeat.reclaim_and_tell, name), ["batchweb", "recovery", name], {}))

    def announce(self, supervisor: Supervisor, admin: AbstractBaseUser, listener: socket.socket) -> None:
        """Tells commands and the person where batchweb is."""
        host, port = listener.getsockname()[:2]
        shown = f"[{web.reachable(host)}]" if ":" in host else web.reachable(host)
        local, public = f"http://{shown}:{port}", settings.PUBLIC.origin
        Path(settings.ADDRESS_FILE).write_text(local + "\n")
        behind = f", behind a proxy for {public}{reverse('jobs:list')}," if public else ""
        supervisor.log.say(f"batchweb runs at {local}{reverse('jobs:list')}{behind} and stops with Ctrl-C.")
        # What runs in earnest logs no way in, once there is another one.
        known = settings.PRODUCTION and admin.has_usable_password()
        path = reverse("login") if known else f"{reverse('enter')}{get_query_string(admin)}"
        supervisor.log.say(f"Sign in: {public or local}{path}")
