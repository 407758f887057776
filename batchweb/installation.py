"""Where batchweb lies, in a checkout or installed from a wheel: where its files are and what its command is called.

A wheel has the folders `templates` and `samples` inside this package; a checkout has them beside it.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parent
FOLDER: Final = PACKAGE.parent  # the checkout, or what pip installs into
INSTALLED: Final = (PACKAGE / "templates").is_dir()
RESOURCES: Final = PACKAGE if INSTALLED else FOLDER
COMMAND: Final = "batchweb" if INSTALLED else "manage.py"
START: Final = "batchweb up" if INSTALLED else "make run"


def data_folder() -> Path:
    """Where data are kept unless DATA_DIR says else: `var` in the checkout, or the user's folder for data."""
    if not INSTALLED:
        return FOLDER / "var"
    home = "Library/Application Support" if sys.platform == "darwin" else ".local/share"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / home) / "batchweb"


def version() -> str:
    """The version of pyproject.toml, which a wheel carries in its metadata."""
    if INSTALLED:
        return metadata.version("batchweb")
    return str(tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def own_first(folders: Iterable[str]) -> list[str]:
    """The folders that modules come from, batchweb's own before all others."""
    return list(dict.fromkeys([str(FOLDER), *folders]))
