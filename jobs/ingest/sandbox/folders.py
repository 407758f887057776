"""A folder for temporary files that stays behind no crash: it is locked while its process lives, and the next process
that makes one removes those that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "batchweb-files-"


def own_folder() -> tuple[Path, int]:
    """A new folder, and the descriptor that holds it: it is nobody's any more once all copies of that are closed."""
    sweep()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = held(folder)
        # Another one may have swept it away before it was held.
        if lock is not None and folder.exists():
            return folder, lock


def sweep() -> None:
    """Removes what processes of this user left that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = held(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def held(folder: Path) -> int | None:
    """A descriptor that holds the folder; None where somebody else does, or it is not ours."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
        except OSError:
            pass
        os.close(lock)
    return None
