from __future__ import annotations

import stat
import subprocess
import time
from pathlib import Path

import pytest
import redis

from batchweb import valkey
from tests.services.valkey import server


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("v k")  # short, for a socket's path, and with a space


def test_it_takes_the_server_on_the_path_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "redis-server"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.binary() == str(mine)


def test_it_brings_its_own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    version = subprocess.run([valkey.binary(), "--version"], capture_output=True, text=True).stdout
    assert version.startswith("Valkey server v=9.")


def test_it_answers_when_it_runs_and_not_after(folder: Path) -> None:
    with server(folder / "s"):
        assert valkey.answers(folder / "s")
    assert not valkey.answers(folder / "s")


def test_it_lets_nobody_else_in(folder: Path) -> None:
    with server(folder / "s"):
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "valkey").stat().st_mode) == 0o700


def test_it_listens_on_no_port(folder: Path) -> None:
    with server(folder / "s"), redis.Redis(unix_socket_path=str(folder / "s")) as client:
        assert client.config_get("port") == {"port": "0"}


def test_it_keeps_its_data_when_it_is_killed(folder: Path) -> None:
    with server(folder / "s"), redis.Redis(unix_socket_path=str(folder / "s")) as client:
        client.lpush("queue", "message")
        time.sleep(1.2)  # the append-only file is written each second
    with server(folder / "s"), redis.Redis(unix_socket_path=str(folder / "s")) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]


def test_it_retires_a_server_that_was_left_behind(folder: Path) -> None:
    with server(folder / "s") as left:
        valkey.retire(folder / "s")
        assert left.wait(3) == 0


def test_it_has_nothing_to_retire_where_only_a_stale_socket_is(folder: Path) -> None:
    with server(folder / "s"):
        pass
    assert (folder / "s").exists()
    valkey.retire(folder / "s")
    with server(folder / "s"):
        assert valkey.answers(folder / "s")


def test_it_leaves_no_folder_that_only_held_the_socket(tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    (short := tmp_path / "short").mkdir()
    for folder in (short, data):
        with valkey.socket_removed(folder / "s", data):
            (folder / "s").touch()
    assert [list(path.iterdir()) for path in tmp_path.iterdir()] == [[]]
