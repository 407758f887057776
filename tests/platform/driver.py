"""A supervisor in a process of its own, for tests that signal or kill it. Arguments: a folder, the services as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from batchweb import lock
from batchweb.process import Service
from batchweb.supervisor import Supervisor


def main(folder: Path, services: list[dict[str, object]]) -> None:
    tidy = lock.hold(folder / "tidy.lock", wait=10)
    with Supervisor(keep_fds=(tidy,)) as supervisor:
        for service in services:
            supervisor.start(Service(**service))  # type: ignore[arg-type]
        supervisor.log.say("all started")
        supervisor.watch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
