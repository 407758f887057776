"""`manage.py up`: everything that batchweb needs, in one terminal. `make run` ends here."""

from __future__ import annotations

import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse
from sesame.utils import get_query_string

from batchweb import embedded, lock, probe
from batchweb.child import Service
from batchweb.supervisor import NotReady, Supervisor
from jobs import presence

VALKEY, WORKERS, KEEPER, WEB = range(4)  # the order of starting; stopping goes the other way
# What an earlier `up` left running is ended by its guardian in this time, in seconds.
TIDY = 10.0
# How long it waits, when it stops, until what a worker could not hand back is taken back, in seconds.
HANDED_BACK = 1.0
# Advice for administrators of servers, which these processes are not: about the kernel, about root, about Ctrl-C.
HIDDEN = ("Memory overcommit", "Hitting Ctrl+C again")
SILENT = ("ignore:You're running the worker with superuser", "ignore:No directory at")


def listen(host: str, port: int) -> socket.socket:
    """The socket of the web server, taken before anything starts and kept while the web server starts again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise CommandError(
            f"batchweb cannot listen on {host} port {port} ({reason}). Try another one: PORT=8001 make run"
        ) from error
    # Accepted connections inherit it. uvicorn takes an inherited socket for a Unix one and leaves it out, and then each
    # answer to a connection that is kept waits up to 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def hold(folder: Path) -> int:
    """Makes this the only `up` of the folder. Returns the descriptor that the guardian keeps until all is tidy."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock.hold(folder / "up.lock")
    except lock.Held as error:
        raise CommandError(
            f"batchweb already runs with the data in {folder}. Stop it first, or set DATA_DIR."
        ) from error
    try:
        return lock.hold(folder / "tidy.lock", wait=TIDY)
    except lock.Held as error:
        raise CommandError(f"Processes of an earlier start still use {folder}. Try again in a few seconds.") from error


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def quietly(**more: str) -> dict[str, str]:
    """The environment of a Python process that does not repeat the warnings in SILENT."""
    asked = os.environ.get("PYTHONWARNINGS", "")
    return {"PYTHONWARNINGS": ",".join(filter(None, (asked, *SILENT))), **more}


def start_valkey(supervisor: Supervisor) -> None:
    """Starts the broker. It holds wake-up calls only, so one that cannot read its data, perhaps because another version
    wrote them, begins without; the keeper wakes what waits.
    """
    folder = Path(settings.DATA_DIR) / "valkey"
    try:
        supervisor.start(valkey(folder))
    except NotReady:
        supervisor.drop("valkey")
        supervisor.log.say(f"Valkey starts afresh, for it cannot read {embedded.set_aside(folder)}. No job is lost.")
        supervisor.start(valkey(folder))


def valkey(folder: Path) -> Service:
    path = Path(settings.VALKEY_SOCKET)
    embedded.retire(path)
    return Service(
        "valkey",
        embedded.command(path, folder),
        level=VALKEY,
        healthy=lambda: embedded.answers(path),
        start_within=10.0,
        stop_within=0.8,
        hidden=HIDDEN,
    )


def worker(name: str, queue: str, processes: int, gone: Callable[[int], object]) -> Service:
    """A Celery worker. On SIGTERM it gives its tasks the soft timeout of the settings, then ends them."""
    options = [
        "-Q",
        queue,
        "-n",
        f"{name}@%h",
        "-P",
        "prefork",
        "-c",
        str(processes),
        "-l",
        os.environ.get("LOG_LEVEL", "INFO"),
    ]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Service(
        name,
        python("-m", "celery", "-q", "-A", "batchweb", "worker", *options, *quiet),
        level=WORKERS,
        env=quietly(REMAP_SIGTERM="SIGQUIT"),
        hidden=HIDDEN,
        stop_within=6.6,
        gone=gone,
    )


def keeper() -> Service:
    return Service("keeper", python("manage.py", "keep"), level=KEEPER, stop_within=0.7)


def web(listener: socket.socket, number: int = 1) -> Service:
    """A web server on the socket that is open already. It logs no requests: their addresses may hold secrets."""
    host, port = listener.getsockname()[:2]
    name = probe.spoken(settings.ALLOWED_HOSTS)
    options = {
        "fd": str(listener.fileno()),
        "http": "httptools",
        "ws": "websockets-sansio",
        "ws-max-size": "65536",
        "ws-ping-interval": "10",
        "ws-ping-timeout": "10",
        "lifespan": "off",
        "log-level": "warning",
        "timeout-graceful-shutdown": "1",
    }
    flags = [part for option, value in options.items() for part in (f"--{option}", value)]
    return Service(
        f"web {number}" if number > 1 else "web",
        python("-m", "uvicorn", "batchweb.asgi:application", *flags, "--no-access-log", "--no-server-header"),
        level=WEB,
        env=quietly(),
        healthy=lambda: probe.well(reachable(host), port, name),
        start_within=float("inf"),
        stop_within=1.5,
        pass_fds=(listener.fileno(),),
    )


def reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


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
        os.chdir(settings.BASE_DIR)
        self.undertakers: list[Thread] = []
        tidy = hold(Path(settings.DATA_DIR))
        with listen(host, port) as listener, Supervisor(keep_fds=(tidy,)) as supervisor:
            try:
                self.start(supervisor, listener)
                supervisor.watch()
            except (NotReady, FileNotFoundError) as error:
                raise CommandError(str(error)) from error
            finally:
                Path(settings.ADDRESS_FILE).unlink(missing_ok=True)
        for thread in self.undertakers:
            thread.join(HANDED_BACK)

    def start(self, supervisor: Supervisor, listener: socket.socket) -> None:
        supervisor.log.say(f"batchweb starts; its data are in {settings.DATA_DIR}")
        if settings.EMBEDDED_VALKEY:
            start_valkey(supervisor)
        call_command("migrate", verbosity=0, interactive=False)
        admin = first_admin()
        for service in (
            worker("worker", "work", settings.WORKER_PROCESSES, self.bury),
            worker("loader", "load", 1, self.bury),
            keeper(),
            *(web(listener, number) for number in range(1, settings.WEB_PROCESSES + 1)),
        ):
            supervisor.start(service)
        self.announce(supervisor, admin, listener)
        connections.close_all()

    def bury(self, process: int) -> None:
        """Has taken back what a worker held that is gone. The loop goes on meanwhile."""
        self.undertakers = [thread for thread in self.undertakers if thread.is_alive()]
        self.undertakers.append(presence.bury_later(presence.name_of(process)))

    def announce(self, supervisor: Supervisor, admin: AbstractBaseUser, listener: socket.socket) -> None:
        """Tells commands and the person where batchweb is."""
        host, port = listener.getsockname()[:2]
        shown = f"[{reachable(host)}]" if ":" in host else reachable(host)
        address = f"http://{shown}:{port}"
        Path(settings.ADDRESS_FILE).write_text(address + "\n")
        supervisor.log.say(f"batchweb runs at {address}/ and stops with Ctrl-C.")
        supervisor.log.say(f"Sign in: {address}{reverse('enter')}{get_query_string(admin)}")
