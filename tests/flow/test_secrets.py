"""A processor that tells its secret in every way, in real worker processes: nothing that they leave behind tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.canary import CANARY, found_in
from tests.processors import leaking
from tests.system import System, free_port

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that has worked on rows that leak, in threads and in child processes."""
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "tmp").mkdir()
    system = System(folder, free_port())
    system.env |= {"JOBS_PROCESSORS": "tests.processors.leaking", "TMPDIR": str(folder / "tmp")}
    try:
        system.start()
        for processor, ways in (("leak", leaking.IN_WORKER), ("leak-in-child", leaking.IN_CHILD)):
            rows = "".join(f"{way},{at}\n" for at, way in enumerate(ways))
            (file := folder / "rows.csv").write_text(f"way,of\n{rows}")
            options = ("--param", f"token={CANARY}", "--timeout", "2", "--attempts", "2")
            code = system.submit(file, *options, processor=processor)
            assert system.ended(system.client(), code)["counts"]["failed"] == len(ways)
        yield system
    finally:
        system.kill()


def test_it_stands_nowhere_in_the_log(worked: System) -> None:
    log = worked.log()
    for words in ("printed •••", "from afar •••", "hanging with •••", "Exception in thread", "crashing with •••"):
        assert words in log
    assert not found_in(log)


def test_it_stands_in_no_file(worked: System) -> None:
    """Neither in the database, nor in what was kept for a while."""
    files = [path for path in worked.folder.rglob("*") if path.is_file()]
    assert any(path.name == "db.sqlite3" for path in files)
    for path in files:
        assert not found_in(path.read_bytes().decode("latin-1")), path


def test_it_stands_nowhere_in_the_broker(worked: System) -> None:
    client: Any = redis.Redis(unix_socket_path=str(Path(worked.env["DATA_DIR"]) / "valkey.sock"))
    keys = list(client.scan_iter("*"))
    assert keys
    assert not any(found_in((key + (client.dump(key) or b"")).decode("latin-1")) for key in keys)
    client.close()
