"""What the Dockerfile and docker-compose.yml promise beyond what their linters see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from batchweb import healthcheck
from tests.platform.test_supervisor import wait
from tests.services import ROOT
from tests.services.postgres import free_port
from tests.system import command as command_line

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "batchweb"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY")
NEEDED = ("SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD")
PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": "a-secret-of-many-different-letters-0123456789-ABCDEFGHIJ",
    "ALLOWED_HOSTS": "batch.example.com",
    "HTTPS": "0",
}


def command(name: str) -> str:
    return " ".join(OURS[name]["command"])


def in_production(folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **PRODUCTION, "DATA_DIR": str(folder / "data"), "STATIC_ROOT": str(folder / "static")}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment | more, capture_output=True, text=True, umask=0o022
    )


def test_it_runs_every_part_that_up_runs() -> None:
    assert set(SERVICES) == {"web", "worker", "loader", "keeper", "migrate", "postgres", "valkey"}


@pytest.mark.parametrize("name", sorted(set(OURS["web"]["environment"])))
def test_it_sets_only_variables_that_the_product_reads(name: str) -> None:
    sources = [*ROOT.glob("batchweb/*.py"), *ROOT.glob("jobs/processors/*.py")]
    assert any(f'"{name}"' in source.read_text() for source in sources)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_it_has_no_default_for_a_secret(service: str) -> None:
    values = {key: value for key, value in SERVICES[service].get("environment", {}).items() if SECRET.search(key)}
    assert all(re.fullmatch(r"\$\{\w+(:\?.+|:-)\}", value) for value in values.values())


@pytest.mark.parametrize("name", NEEDED)
def test_it_stops_with_a_sentence_when_a_variable_is_missing(name: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.search(rf"\$\{{{name}:\?Set {name} in .env to \w", text)
    assert not re.search(rf"(?<!\$)\$\{{?{name}(?!:\?)\b[^:]", text)


def test_it_opens_no_port_but_that_of_the_web_server() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]


def test_it_listens_on_this_machine_only() -> None:
    assert SERVICES["web"]["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]


def test_it_starts_every_part_again_but_the_migrations() -> None:
    restarts = {name: service["restart"] for name, service in SERVICES.items()}
    assert restarts.pop("migrate") == "no"
    assert set(restarts.values()) == {"unless-stopped"}


@pytest.mark.parametrize("name", ["web", "worker", "loader", "keeper"])
def test_it_starts_after_the_migrations(name: str) -> None:
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_it_keeps_the_data_in_a_volume(name: str) -> None:
    assert SERVICES[name]["volumes"] == ["data:/data"]
    assert SERVICES[name]["environment"]["DATA_DIR"] == "/data"


@pytest.mark.parametrize(("name", "queue"), [("worker", "work"), ("loader", "load")])
def test_it_starts_workers_as_up_does(name: str, queue: str) -> None:
    wanted = ["celery", "-A batchweb worker", f"-Q {queue}", f"-n {name}@%h", "-P prefork"]
    assert [part for part in wanted if part not in command(name)] == []
    assert SERVICES[name]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_it_bounds_what_a_container_may_take(name: str) -> None:
    assert SERVICES[name]["mem_limit"]
    assert SERVICES[name]["pids_limit"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_it_gives_containers_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(mount.startswith("/tmp:size=") for mount in service["tmpfs"])
    # Without capabilities no process may change to another user: those of other makers start as the one they are for.
    assert name in OURS or service["user"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_it_lets_no_log_fill_the_disk(name: str) -> None:
    assert SERVICES[name]["logging"] == {"driver": "local"}  # which rotates


def test_it_builds_one_image_once_before_anything_starts() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert {service["pull_policy"] for service in OURS.values()} == {"never"}


def test_it_waits_for_the_database_that_stays() -> None:
    # While the image makes the database, a server that is stopped afterwards answers on the socket.
    assert "-h 127.0.0.1" in " ".join(SERVICES["postgres"]["healthcheck"]["test"])


def test_it_asks_for_the_password_of_the_broker() -> None:
    assert "requirepass $$VALKEY_PASSWORD" in " ".join(SERVICES["valkey"]["command"])
    assert OURS["web"]["environment"]["REDIS_URL"].startswith("redis://:${VALKEY_PASSWORD:?")


def test_it_keeps_large_files_out_of_memory() -> None:
    # The folder of temporary files would be memory, and bodies of requests are temporary files.
    assert re.search(r"^ENV .*\bTMPDIR=/data\b", DOCKERFILE, re.M)


def test_it_watches_the_web_servers_as_up_does() -> None:
    assert 'CMD ["python", "-m", "batchweb.web"' in DOCKERFILE


def test_it_runs_as_nobody_special() -> None:
    assert re.search(r"^USER 10001$", DOCKERFILE, re.M)


def test_it_bakes_no_secret_in() -> None:
    assert not re.search(r"^(ENV|ARG).*(SECRET|PASSWORD|KEY)", DOCKERFILE, re.M)


@pytest.mark.parametrize("left_out", ["var", "tests", ".*"])
def test_it_sends_no_private_file_to_the_build(left_out: str) -> None:
    assert left_out in (ROOT / ".dockerignore").read_text().split()


@pytest.mark.flow
def test_it_collects_the_static_files_as_the_build_does(tmp_path: Path) -> None:
    done = in_production(tmp_path, "manage.py", "collectstatic", "--noinput")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "static" / "admin").rglob("*.css.br"))
    # One user collects them and another one serves them.
    modes = {entry.is_dir(): entry.stat().st_mode & 0o777 for entry in (tmp_path / "static").rglob("*")}
    assert modes == {True: 0o755, False: 0o644}


# Fetches a page's scripts and styles.
FETCH = """
import re
from django.test import Client
from django.urls import reverse
page = Client().get(reverse("login"), HTTP_HOST="batch.example.com")
assert page.status_code == 200, page.status_code
found = set(re.findall('(?:href|src)="([^"]*static/[^"]*)"', page.content.decode()))
for url in found:
    answer = Client().get(url)
    print(answer.status_code, "immutable" in answer.headers.get("Cache-Control", ""), url)
"""


@pytest.mark.flow
def test_it_serves_what_was_built_under_any_path(tmp_path: Path) -> None:
    assert in_production(tmp_path, "manage.py", "collectstatic", "--noinput").returncode == 0
    done = in_production(tmp_path, "manage.py", "shell", "-v", "0", "-c", FETCH, PATH_PREFIX="/batch")
    lines = done.stdout.splitlines()
    assert len(lines) > 5, done.stdout + done.stderr
    assert all(line.startswith("200 True /batch/static/") for line in lines), done.stdout


@contextmanager
def container(folder: Path, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """What the container of the web server runs."""
    environment = {**os.environ, **PRODUCTION, "DATA_DIR": str(folder / "data"), "STATIC_ROOT": str(folder)} | more
    command = [sys.executable, "-m", "batchweb.web", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def servers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [child for child in children if "batchweb.server" in command_line(child)]


@pytest.mark.flow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_it_starts_another_web_server_when_one_does_not_answer(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    with container(tmp_path, port) as process:
        wait(lambda: healthcheck.well("127.0.0.1", port), "an answer", within=60)
        (first,) = servers(process)
        first.send_signal(number)
        wait(lambda: [server for server in servers(process) if server != first], "another server", within=90)
        wait(lambda: healthcheck.well("127.0.0.1", port), "an answer", within=60)


@pytest.mark.flow
def test_it_ends_with_a_sentence_on_weak_settings(tmp_path: Path) -> None:
    done = in_production(tmp_path, "-m", "batchweb.web", SECRET_KEY="changeme")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("SECRET_KEY must be a random text of at least 50 characters")
    assert len(done.stderr.splitlines()) == 1
