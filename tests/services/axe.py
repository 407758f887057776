"""axe-core, which finds mistakes of accessibility in a page; fetched on first use and kept in the cache."""

from __future__ import annotations

import fcntl
import tarfile
import tempfile
from pathlib import Path

from tests.services import Missing, cache
from tests.services.npm import packed

VERSION = "4.14.1"
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"


def axe() -> str:
    """The script to run in a page. Raises Missing."""
    kept = cache() / f"axe-{VERSION}.js"
    with (cache() / "axe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once fetch it once
        if not kept.exists():
            fetch(kept)
    return kept.read_text(encoding="utf-8")


def fetch(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as name:
        aside = Path(name)
        with tarfile.open(packed("axe-core", VERSION, SHA256, aside)) as package:
            file = package.extractfile("package/axe.min.js")
            if file is None:
                raise Missing(f"axe-core {VERSION} holds no axe.min.js.")
            (aside / "axe.js").write_bytes(file.read())
        (aside / "axe.js").rename(kept)
