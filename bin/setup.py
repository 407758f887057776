"""Makes .venv and fills it: `setup.py run` for what the system needs, `setup.py dev` for tests too, `setup.py lock`.

Runs before anything is installed, so it has the standard library only. It does nothing when all is in place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
ASTRAY = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")
LOCKED = {"requirements.in": "requirements.txt", "requirements-dev.in": "requirements-dev.txt"}


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def ran(*command: str | Path, quiet: bool = False) -> bool:
    """Whether the command did what it should."""
    output = subprocess.DEVNULL if quiet else None
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=output, stderr=output)
        return done.returncode == 0
    except OSError:
        return False


def environment() -> dict[str, str]:
    """The one of this process, without what would lead packages away from .venv; with a cache that can be written."""
    calm = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "UV_HTTP_TIMEOUT": "30"}
    kept = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    if not os.access(Path(os.environ.get("HOME", "/nowhere")), os.W_OK):
        calm |= {"XDG_CACHE_HOME": str(ROOT / ".cache")}  # of uv and pip
    return kept | calm


def digest(name: str) -> str:
    return hashlib.sha256((ROOT / REQUIREMENTS[name]).read_bytes()).hexdigest()


def stamp(name: str) -> Path:
    return VENV / f"batchweb-{name}.stamp"


def filled(name: str) -> bool:
    return stamp(name).exists() and stamp(name).read_text() == digest(name)


def usable() -> bool:
    """Whether .venv is there, works, and is of the Python that runs this."""
    return ran(PYTHON, "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})", quiet=True)


def make_venv() -> None:
    if VENV.exists():
        say("The .venv here is of another Python: making it anew.")
        shutil.rmtree(VENV)
    if not ran(sys.executable, "-m", "venv", VENV, quiet=True):
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            f"{sys.executable} cannot make a virtual environment: its venv or ensurepip module is missing. "
            "On Debian and Ubuntu: apt install python3-venv"
        )


def uv() -> list[str | Path] | None:
    """How to call uv, which installs ten times as fast as pip: the one on PATH, or a pinned one in .venv."""
    if found := shutil.which("uv"):
        return [found]
    ours = VENV / "bin" / "uv"
    install = (PYTHON, "-m", "pip", "install", "--require-hashes", "-r", "bin/uv.txt")
    return [ours] if ours.exists() or ran(*install, quiet=True) else None


def fill(name: str) -> None:
    say(f"Installing {REQUIREMENTS[name]} into .venv (once) …")
    for old in VENV.glob("batchweb-*.stamp"):
        old.unlink()
    tool = uv()
    options = ("--quiet", "--require-hashes")
    done = tool is not None and ran(*tool, "pip", "sync", *options, "--python", PYTHON, REQUIREMENTS[name])
    if not done and not ran(PYTHON, "-m", "pip", "install", *options, "-r", REQUIREMENTS[name]):
        sys.exit(f"{REQUIREMENTS[name]} could not be installed; what failed stands above.")
    stamp(name).write_text(digest(name))


def prepare(name: str) -> None:
    if not usable():
        make_venv()
    if not filled(name) and not filled("dev"):  # what tests need has all that the system needs in it
        fill(name)


def lock(arguments: list[str]) -> None:
    """Compiles the pinned files, hashes included, for all platforms and Pythons."""
    tool = uv()
    if tool is None:
        sys.exit("uv could not be installed, and only uv can pin for all platforms at once.")
    options = ("--quiet", "--generate-hashes", "--universal", "--python-version", "3.11")
    note = ("--custom-compile-command", "make lock")
    for source, target in LOCKED.items():
        if not ran(*tool, "pip", "compile", *options, *note, *arguments, source, "-o", target):
            sys.exit(f"{source} could not be pinned; what failed stands above.")


def ready(name: str) -> bool:
    """Whether nothing is to be done, as in a checkout that is read-only by now."""
    return (filled(name) or filled("dev")) and usable()


def main(task: str, arguments: list[str]) -> None:
    if task != "lock" and ready(task):
        return
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "setup.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two makes at once on a fresh clone
        if task == "lock":
            lock(arguments)
        else:
            prepare(task)


def owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user without a name
        return f"user {path.stat().st_uid}"


def refusal(error: OSError) -> str:
    """What to do about a file that could not be written."""
    path = Path(str(error.filename or ROOT))
    if isinstance(error, PermissionError):
        found = next(place for place in (path, *path.parents) if place.exists())
        return f"{found} belongs to {owner(found)}. Have it given to you: sudo chown -R {os.geteuid()} '{ROOT}'"
    return f"{path} cannot be written: {error.strerror}."


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except OSError as error:
        sys.exit(refusal(error))
