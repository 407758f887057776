"""Starts batchweb where the machine gives too little, and looks whether it says what to do: `limits.py`, as root.

A full disk, files of somebody else, a read-only checkout, little memory, few processes and a wrong clock (where
`faketime` is on PATH). What needs no root is in tests/platform/test_machine.py. The exit status is that of the worst
case: 0 when each said its sentence, 1 when one did not. What could not be tried is said.

Has the standard library only, like setup.py beside it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
GROUPS = Path("/sys/fs/cgroup")
GROUP = "batchweb-limits"
WITHIN = 120.0  # seconds until the sentence
STOPS = 30.0


@dataclass(frozen=True)
class Case:
    """A shell script that makes the machine poor and then runs its arguments, and the words that are to be read."""

    name: str
    script: str
    words: str
    needs: str = "unshare"


def in_group(controller: str, old: str, new: str, value: int) -> str:
    """Puts the shell into a control group with that limit, of the old or the new kind."""
    return (
        f"if [ -d /sys/fs/cgroup/{controller} ]; then g=/sys/fs/cgroup/{controller}/{GROUP}; f={old}; "
        f"else g=/sys/fs/cgroup/{GROUP}; f={new}; echo +{controller} > /sys/fs/cgroup/cgroup.subtree_control; fi; "
        f'mkdir -p $g && echo {value} > $g/$f && echo $$ > $g/cgroup.procs && exec "$@"'
    )


CASES = (
    Case(
        "a full disk",
        'mount -t tmpfs -o size=1m tmpfs "$DATA_DIR"; head -c 2m /dev/zero > "$DATA_DIR/zeros" 2>/dev/null; exec "$@"',
        "Make room, or set DATA_DIR",
    ),
    Case(
        "files of somebody else",
        'chown 12345 "$DATA_DIR" && exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"',
        "belongs to user 12345",
        "setpriv",
    ),
    Case(
        "a read-only checkout",
        'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && ! touch touched 2>/dev/null && exec "$@"',
        "Sign in: ",
    ),
    Case("little memory", in_group("memory", "memory.limit_in_bytes", "memory.max", 260 * 1024**2), "Memory ran out"),
    Case("few processes", in_group("pids", "pids.max", "pids.max", 20), "The system allows no more processes"),
    Case("a clock in 2099", 'exec faketime -f +73y "$@"', "The clock of this machine says", "faketime"),
)


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def heard(process: subprocess.Popen[bytes], output: Path, words: str) -> bool:
    """Whether it said the words in time."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline and words not in output.read_text() and process.poll() is None:
        time.sleep(0.1)
    return words in output.read_text()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOPS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tried(case: Case, folder: Path) -> bool:
    """Whether batchweb told what it should, and showed no trace."""
    data, output = folder / "data", folder / "output"
    data.mkdir(mode=0o700)
    environment = {**os.environ, "DATA_DIR": str(data), "PORT": "0"}
    command = ("unshare", "--mount", "sh", "-c", case.script, "sh", str(PYTHON), "manage.py", "up")
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        told = heard(process, output, case.words)
    finally:
        stop(process)
    if not told or "Traceback" in output.read_text():
        say(output.read_text())
        return False
    return True


def tidy() -> None:
    """Removes the control groups, which are empty by now."""
    for folder in (*GROUPS.glob(f"*/{GROUP}"), *GROUPS.glob(GROUP)):
        with suppress(OSError):
            folder.rmdir()


def main() -> int:
    if os.geteuid() != 0:
        say("Not tried: only root can take disks, memory and processes away.")
        return 0
    failed = 0
    for case in CASES:
        if not (shutil.which(case.needs) and shutil.which("unshare")):
            say(f"{case.name}: not tried, for {case.needs} is not on PATH")
            continue
        with tempfile.TemporaryDirectory() as folder:
            said = tried(case, Path(folder))
        say(f"{case.name}: {'as it should be' if said else 'NOT as it should be, see above'}")
        failed |= not said
    tidy()
    return failed


if __name__ == "__main__":
    sys.exit(main())
