"""Runs a command on bare Debian boxes, as a normal user and with a Python of theirs, in a copy of this checkout.

`boxes.py trixie unstable -- make test-quick`. A box has Python, venv, make and git, and nothing else; it is made by
debootstrap on first use and kept in the cache. That takes root and a Debian mirror: where one of them is missing the
command runs beside each other Python on PATH instead, as `PYTHON=python3.13` in its environment, and what was not done
is said. The exit status is that of the first command that failed.

Has the standard library only, like setup.py beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOXES = Path(os.environ.get("BATCHWEB_CACHE") or ROOT / ".cache").resolve() / "boxes"
PACKAGES = "python3,python3-venv,make,git,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MINORS = range(11, 15)  # of the Pythons that batchweb runs on
PERSON = 1000  # the user id in the box
KEPT = ("CI", "SEED", "PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "http_proxy", "https_proxy", "no_proxy")
# A name space of its own: the mounts go with the last process in it, however that ends.
INSIDE = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" || exit 125
box=$1; shift
exec chroot --userspec=1000:1000 "$box" /usr/bin/env -i HOME=/home/person PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def missing() -> str:
    """Why no box can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "only root can make boxes"
    absent = [name for name in ("debootstrap", "unshare", "chroot", "mount") if not shutil.which(name)]
    return f"{', '.join(absent)} not found" if absent else ""


def box_of(suite: str) -> Path:
    """The box of a Debian suite, made on first use. Raises CalledProcessError."""
    box = BOXES / suite
    if not (box / "made").exists():
        say(f"Making a box of Debian {suite} (once) …")
        shutil.rmtree(box, ignore_errors=True)
        box.mkdir(parents=True)
        with (BOXES / f"{suite}.log").open("wb") as log:
            command = ("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(box))
            subprocess.run(command, check=True, stdout=log, stderr=log)
        (box / "made").touch()
    furnish(box)
    return box


def furnish(box: Path) -> None:
    """Gives the box a person, the names of hosts, and the certificates that this machine believes."""
    home = box / "home" / "person"
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, PERSON, PERSON)
    passwd = box / "etc" / "passwd"
    if "person:" not in passwd.read_text():
        with passwd.open("a") as file:
            file.write(f"person:x:{PERSON}:{PERSON}::/home/person:/bin/sh\n")
    for path in (CERTIFICATES, Path("/etc/resolv.conf"), Path("/etc/hosts")):
        if path.exists():
            shutil.copyfile(path, box / path.relative_to("/"))


def copied(target: Path) -> None:
    """A fresh copy of what git knows of this checkout. What .venv and .cache there are stay."""
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for old in target.iterdir() if target.exists() else ():
        if old.name not in (".venv", ".cache"):
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in filter(None, names):
        if (source := ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def run(suite: str, command: Sequence[str]) -> int:
    """The exit status of the command in the box."""
    box = box_of(suite)
    copied(checkout := box / "home" / "person" / "batchweb")
    subprocess.run(("chown", "-R", f"{PERSON}:{PERSON}", str(checkout)), check=True)
    kept = [f"{name}={os.environ[name]}" for name in KEPT if name in os.environ]
    inside = ("sh", "-c", 'cd "$0" && exec "$@"', f"/{checkout.relative_to(box)}", *command)
    unshared = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh", str(box))
    return subprocess.run((*unshared, *kept, *inside)).returncode


def beside(python: str, command: Sequence[str]) -> int:
    """The exit status of the command in a copy of its own, for a Python of this machine."""
    copied(checkout := BOXES / python)
    return subprocess.run(command, cwd=checkout, env={**os.environ, "PYTHON": python}).returncode


def main(arguments: list[str]) -> int:
    at = arguments.index("--")
    places, command = arguments[:at], arguments[at + 1 :]
    there: Callable[[str, Sequence[str]], int] = run
    if why := missing():
        say(f"Not run on Debian {', '.join(places)}: {why}.")
        other = [f"python3.{minor}" for minor in MINORS if minor != sys.version_info[1]]
        places, there = [python for python in other if shutil.which(python)], beside
        say(f"Other Pythons on PATH: {', '.join(places) or 'none'}.")
    for place in places:
        say(f"On {place}: {' '.join(command)}")
        if status := there(place, command):
            say(f"Failed on {place} with exit status {status}.")
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
