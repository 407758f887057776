"""One system for as many cases as it survives."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.faults.rig import Rig, Watched, Whole
from tests.services import Missing

SMALL = "24m"  # of disk


class Yard:
    """Holds at most one system at a time; the next case gets the same one if that is as good as new."""

    def __init__(self) -> None:
        self.system: Watched | None = None
        self.kind = ""

    def get(self, kind: str) -> Watched:
        """A system that runs: on `postgres`, `sqlite` or a `small` disk with its processes one by one, or `whole`.

        Raises Missing where this machine does not permit it.
        """
        if self.system is None or kind != self.kind:
            self.clear()
            self.folder = tempfile.TemporaryDirectory(prefix="bw-faults-", ignore_cleanup_errors=True)
            self.system, self.kind = made(kind, Path(self.folder.name)), kind
            if kind == "small":
                shrink(self.system.data)
            self.system.start()
        return self.system

    def clear(self) -> None:
        system, self.system = self.system, None
        if system is not None:
            with suppress(Exception):  # whatever is broken in it, the next one must get its turn
                system.stop()
            if system.data.is_mount():
                subprocess.run(["umount", "--lazy", system.data])
            self.folder.cleanup()

    def done(self, good: bool) -> None:
        """Fixes what the case left behind, or throws it all away."""
        if good and isinstance(self.system, Rig):
            with suppress(AssertionError):
                self.system.restore()
                return
        self.clear()


def made(kind: str, folder: Path) -> Watched:
    folder.chmod(0o755)  # PostgreSQL runs as another user where we are root
    return Whole(folder, "") if kind == "whole" else Rig(folder, postgres=kind == "postgres")


def shrink(folder: Path) -> None:
    """Puts the folder on a disk that is soon full."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0700", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        raise Missing(f"no small disk: {mounted.stderr.strip()}")
