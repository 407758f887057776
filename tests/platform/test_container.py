"""What the Dockerfile and docker-compose.yml promise beyond what their linters see."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from jobs.management.commands import up
from tests.services import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "batchweb"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY")


def command(name: str) -> str:
    return " ".join(OURS[name]["command"])


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


@pytest.mark.parametrize("name", ["SECRET_KEY", "POSTGRES_PASSWORD", "ALLOWED_HOSTS"])
def test_it_stops_with_a_sentence_when_a_variable_is_missing(name: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.search(rf"\$\{{{name}:\?Set {name} in .env to \w", text)
    assert not re.search(rf"\$\{{?{name}(?!:\?)\b[^:]", text)


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


def test_it_lets_no_answer_wait_for_an_acknowledgement() -> None:
    with up.listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_it_serves_as_up_does() -> None:
    with up.listen("127.0.0.1", 0) as listener:
        arguments = up.web(listener).argv
    same = [word for word in arguments[3:] if not word.isdigit() and word != "--fd"]
    assert [word for word in same if f'"{word}"' not in DOCKERFILE] == []


def test_it_runs_as_nobody_special() -> None:
    assert re.search(r"^USER 10001$", DOCKERFILE, re.M)


def test_it_bakes_no_secret_in() -> None:
    assert not re.search(r"^(ENV|ARG).*(SECRET|PASSWORD|KEY)", DOCKERFILE, re.M)


@pytest.mark.parametrize("left_out", ["var", "tests", ".*"])
def test_it_sends_no_private_file_to_the_build(left_out: str) -> None:
    assert left_out in (ROOT / ".dockerignore").read_text().split()


@pytest.mark.flow
def test_it_collects_the_static_files_as_the_build_does(tmp_path: Path) -> None:
    production = {"PRODUCTION": "1", "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "localhost", "DATA_DIR": str(tmp_path)}
    environment = {**os.environ, **production, "STATIC_ROOT": str(tmp_path / "static")}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "static" / "admin").rglob("*.css.br"))
