"""The command line, as `manage.py`, `batchweb` and `python -m batchweb`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from batchweb import installation, machine


def own_modules_first() -> None:
    """Has this process, and all that it starts, find batchweb's modules before others of the same names.

    The folder that it is called in may be another project's, with a `jobs` of its own, and so may one on PYTHONPATH.
    """
    given = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(installation.own_first(given))
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.path[:] = installation.own_first(sys.path)


def speak_anyhow() -> None:
    """Writes what the terminal's encoding cannot tell as \\u2026, for a sentence is worth more than its quotes."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def main() -> None:
    speak_anyhow()
    if sys.argv[1:] == ["--version"]:
        print(f"batchweb {installation.version()}")  # noqa: T201
        return
    own_modules_first()
    # A terminal may be set up for another project.
    os.environ["DJANGO_SETTINGS_MODULE"] = "batchweb.settings"
    name = Path(sys.argv[0]).name
    with machine.trouble_told():
        execute_from_command_line([installation.COMMAND if name == "__main__.py" else name, *sys.argv[1:]])


if __name__ == "__main__":
    main()
