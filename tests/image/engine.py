"""A container engine: the one that answers on this machine, or one of its own in a box of Debian.

The box has its own mounts, processes and network (slirp4netns leads out of it), so that nothing on the machine changes,
and everything in it ends with the process that made it, however that ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.services import cache
from tests.system import until

FOLDER: Final = cache() / "image"
ENGINE: Final = FOLDER / "engine"
PACKAGES: Final = "docker.io,docker-cli,docker-compose,docker-buildx,iptables,slirp4netns,ca-certificates"
SUITE: Final = "trixie"
TOOLS: Final = ("debootstrap", "setpriv", "unshare", "chroot", "mount", "pivot_root", "tar")
WITH_US: Final = ("setpriv", "--pdeathsig=KILL")  # ends with this process
INSIDE: Final = "BATCHWEB_IMAGE_TEST_INSIDE"  # set in the box
DNS: Final = "nameserver 10.0.2.3\n"  # slirp4netns answers there
SLIRP: Final = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind /etc/resolv.conf "$1/etc/resolv.conf" &&
exec chroot "$1" slirp4netns --configure --mtu=65520 --disable-host-loopback "$2" tap0
"""
START: Final = """
set -e; box=$1; shared=$2; shift 2
mount -t proc proc /proc; mount --bind "$box" "$box"; mount -t proc proc "$box/proc"
mount --rbind /dev "$box/dev"; mount --rbind /sys "$box/sys"
mount -t tmpfs tmpfs "$box/run"; mount -t tmpfs tmpfs "$box/tmp"
mkdir -p "$box$shared" "$box/before"; mount --bind "$shared" "$box$shared"
unshare --mount sh -c "$DAEMON" sh "$box" >"$shared/dockerd.log" 2>&1 &
"$@"
"""
# The box has to be the root of its name space: in a mere chroot, what `docker exec` starts would find itself outside.
DAEMON: Final = """
cd "$1" && pivot_root . before && umount -l before && exec chroot . dockerd
"""


class Missing(Exception):
    """No container engine can be had here; the message says why."""


class NoEngine(Missing):
    """None answers, but one may be started."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Engine:
    """Commands to a container engine."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self.prefix = tuple(prefix)

    def run(self, *arguments: str, timeout: float = 900.0, **more: Any) -> subprocess.CompletedProcess[str]:
        """What `docker ARGUMENTS` gave, whatever its exit status."""
        more = {"stdin": subprocess.DEVNULL} | more if "input" not in more else more
        command = (*self.prefix, "docker", *arguments)
        return subprocess.run(command, text=True, capture_output=True, timeout=timeout, **more)

    def out(self, *arguments: str, timeout: float = 900.0, **more: Any) -> str:
        """What it printed. Raises AssertionError with what it said where it failed."""
        done = self.run(*arguments, timeout=timeout, **more)
        assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{(done.stdout + done.stderr)[-4000:]}"
        return done.stdout

    def answers(self) -> bool:
        return not self.run("info").returncode and not self.run("compose", "version").returncode


def unable() -> str:
    """Why no engine can be started in a box here; empty where one can."""
    if sys.platform != "linux" or os.geteuid():
        return "only root can start one, on Linux"
    absent = [name for name in TOOLS if not shutil.which(name)]
    return f"{', '.join(absent)} not found" if absent else ""


def boxed(box: Path, packages: str) -> Path:
    """A box of Debian with these packages, made on first use. Raises Missing."""
    made = box.with_suffix(".made")
    if made.exists():
        return box
    say(f"Making a box of Debian {SUITE} with {packages} (once) …")
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir(parents=True)
    command = ("debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(box))
    with box.with_suffix(".log").open("wb") as log:
        if subprocess.run(command, stdout=log, stderr=log).returncode:
            raise Missing(f"debootstrap could not make a box of Debian; see {log.name}")
    made.touch()
    return box


def in_a_box(command: Sequence[str]) -> int:
    """The exit status of the command, beside an engine that runs in a box. Raises Missing."""
    if why := unable():
        raise Missing(why)
    box = boxed(ENGINE, PACKAGES)
    (box / "etc" / "resolv.conf").write_text(DNS)
    apart = (*WITH_US, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh")
    command = (*apart, str(box), str(shared()), *command)
    with subprocess.Popen(command, env={**os.environ, INSIDE: "1", "DAEMON": DAEMON}) as process:
        try:
            with network(box, process):
                return process.wait()
        finally:
            process.kill()


@contextmanager
def network(box: Path, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A way out for the name space of the process."""
    own = os.readlink("/proc/self/ns/net")
    until(lambda: process.poll() is not None or os.readlink(f"/proc/{process.pid}/ns/net") != own, 30)
    command = (*WITH_US, "unshare", "--mount", "sh", "-c", SLIRP, "sh", str(box), str(process.pid))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slirp:
        try:
            yield
        finally:
            slirp.terminate()


def shared() -> Path:
    """A folder that the engine reads, too."""
    (folder := FOLDER / "shared").mkdir(parents=True, exist_ok=True)
    return folder


def engine() -> Engine:
    """The engine that answers: in the box the one that starts there. Raises NoEngine."""
    if not os.environ.get(INSIDE):
        if shutil.which("docker") and (found := Engine()).answers():
            return found
        raise NoEngine("No Docker with its compose plugin answers")
    found = Engine(("chroot", str(ENGINE)))
    until(lambda: "tap0" in Path("/proc/net/route").read_text(), 60, "the box has a network")
    until(found.answers, 120, f"dockerd answers; see {shared() / 'dockerd.log'}")
    empty(found)
    return found


def empty(boxed: Engine) -> None:
    """Takes away what a run that was killed left in the box, and started again with the engine."""
    if left := boxed.out("ps", "-a", "-q").split():
        boxed.out("rm", "-f", "-v", *left)
    boxed.out("volume", "prune", "-a", "-f")
    boxed.out("network", "prune", "-f")
    boxed.out("image", "prune", "-f")
