"""What lies on the disk, what a start refuses, what containers may take."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.attacks.speed import first_fast
from tests.attacks.target import Target, production, target
from tests.system import ROOT, csv_of

pytestmark = pytest.mark.attacks
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")


def test_it_lets_nobody_else_read_its_files(alone: ExitStack, tmp_path: Path) -> None:
    """Data and sockets, in a folder that was there before, under a permissive umask."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var").chmod(0o755)
    before = os.umask(0)
    try:
        system = alone.enter_context(target(tmp_path, WEB_PROCESSES="1", WORKER_PROCESSES="1"))
    finally:
        os.umask(before)
    system.ended(system.as_("mallory"), system.job("mallory", csv_of(3)))
    files = [path for path in (tmp_path / "var").rglob("*") if not path.is_dir()]
    opened = {str(path): oct(mode(path)) for path in files if mode(path) & 0o066 and reached(path, tmp_path)}
    opened.pop(str(tmp_path / "var" / "address"), None)  # where it runs is no secret
    assert not opened, opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def reached(path: Path, top: Path) -> bool:
    """Whether somebody else gets there: each folder on the way lets them through."""
    return all(mode(folder) & 0o011 for folder in path.parents if top in folder.parents)


@pytest.mark.fast
def test_it_names_stored_files_itself(prey: Target) -> None:
    for name in ("../../evil.csv", "/etc/cron.d/evil", "evil.csv\0.txt", "..\\..\\evil.csv",
                 "e" * 300 + ".csv", "COM1.csv", "<script>evil</script>.csv", ".htaccess", "evil.php"):  # fmt: skip
        prey.made("mallory", csv_of(3).encode(), name)
    stored = [path for path in (prey.folder / "var" / "uploads").rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        assert re.fullmatch(r"\d{4}/\d{2}/[0-9a-f]{32}", str(path.relative_to(prey.folder / "var" / "uploads")))
    assert not list(prey.folder.rglob("*evil*"))


@pytest.mark.fast
def test_it_serves_no_stored_file_and_no_source(prey: Target) -> None:
    prey.job("mallory", csv_of(3))
    stored = next(path for path in (prey.folder / "var" / "uploads").rglob("*") if path.is_file())
    name = stored.relative_to(prey.folder / "var" / "uploads")
    for path in (f"/uploads/{name}", f"/media/{name}", f"/static/../var/uploads/{name}", "/static/%2e%2e/manage.py",
                 "/static//etc/passwd", "/.env", "/.git/config", "/manage.py", "/var/db.sqlite3",
                 "/static/..%2fmanage.py", "/secret_key", "/static/", "/server-status", "/debug/",
                 "/__debug__/"):  # fmt: skip
        answer = prey.as_("mallory").get(path)
        assert answer.status_code in (400, 403, 404), (path, answer.status_code)
        assert "import " not in answer.text


WEAK: dict[str, dict[str, str]] = {
    "a word": {"SECRET_KEY": "changeme"},
    "a short key": {"SECRET_KEY": "x7Q" * 5},
    "one letter": {"SECRET_KEY": "x" * 60},
    "few letters": {"SECRET_KEY": "ab" * 40},
    "the mark of a made key": {"SECRET_KEY": "django-insecure-" + "kq9zr8wm2v" * 5},
    "debugging": {"DEBUG": "1"},
}


def checked(folder: Path, **weak: str) -> subprocess.CompletedProcess[str]:
    """What somebody is told who looks whether production may start with these settings."""
    ours = ("REDIS_URL", "DATABASE_URL", "DATA_DIR", "DJANGO_ALLOW_ASYNC_UNSAFE")
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    env = kept | production(folder) | {"DATA_DIR": str(folder / "var"), "HTTPS": "1"} | weak
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.fast
def test_it_takes_strong_settings_in_production(tmp_path: Path) -> None:
    done = checked(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", first_fast(WEAK))
def test_it_refuses_weak_settings_in_production(tmp_path: Path, kind: str) -> None:
    """Whoever checks it before a start is told what is wrong, and not what the key is."""
    done = checked(tmp_path, **WEAK[kind])
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    assert next(iter(WEAK[kind])) in said
    assert not [value for value in WEAK[kind].values() if len(value) > 8 and value in said]


@pytest.mark.fast
def test_it_bounds_its_containers() -> None:
    """Memory, processes, rights; and the broker has a password."""
    for name, service in COMPOSE["services"].items():
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        assert service.get("mem_limit") or limits.get("memory"), f"{name} may take all memory"
        assert service.get("pids_limit") or limits.get("pids"), f"{name} may start any number of processes"
        assert service.get("cap_drop") == ["ALL"], f"{name} keeps capabilities"
        assert "no-new-privileges:true" in service.get("security_opt", []), name
    assert "requirepass" in str(COMPOSE["services"]["valkey"]), "Valkey has no password."
    address = str(COMPOSE["services"]["web"]["environment"]["REDIS_URL"])
    assert re.fullmatch(r"redis://[^@]*:\$\{\w+.*\}@valkey:6379/0", address), address


def test_it_replaces_a_web_server_that_does_not_answer(alone: ExitStack, tmp_path: Path) -> None:
    """A web server stands still; the other one answers meanwhile, and a new one takes its place."""
    system = alone.enter_context(target(tmp_path))
    mallory = system.as_("mallory")
    stuck = system.webs()[0]
    stuck.suspend()
    try:
        stuck.wait(90)
    finally:
        if stuck.is_running():
            stuck.resume()
    assert mallory.get("/healthz").status_code == 200
