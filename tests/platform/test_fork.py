from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.platform.test_supervisor import driven, wait
from tests.services import ROOT


def run(script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process with one thread that forks; what it raises ends it with a trace."""
    start = "import os, signal, sys, time\nfrom batchweb import fork\nfrom batchweb.fork import Fork\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", start + script], cwd=ROOT, env={**os.environ, **more},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
    )  # fmt: skip


def test_it_does_what_it_is_given_and_tells_how_that_ended() -> None:
    done = run("f = Fork(lambda: sys.exit(3), ['x'], {}); print(f.wait(), f.returncode, f.poll())")
    assert done.stdout == "3 3 3\n"


def test_it_tells_the_signal_that_ended_it() -> None:
    done = run("f = Fork(lambda: time.sleep(60), ['x'], {}); f.terminate(); print(f.wait())")
    assert done.stdout == f"{-signal.SIGTERM}\n"


def test_it_answers_signals_like_a_new_process() -> None:
    script = "signal.signal(15, lambda *_: print('parent')); f = Fork(lambda: os.kill(os.getpid(), 15), [], {})\n"
    assert run(script + "print(f.wait())").stdout == f"{-signal.SIGTERM}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_holds_no_descriptor_of_its_parent() -> None:
    script = (
        "pipe, kept = os.pipe(), os.pipe()[0]\n"
        "held = lambda: [n for n in range(3, 99) if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "Fork(lambda: print(held() == [kept]), [], {}, pass_fds=[kept]).wait()"
    )
    assert run(script).stdout == "True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_is_seen_with_its_own_arguments_and_environment() -> None:
    script = (
        "from pathlib import Path\n"
        "shown = lambda name: Path('/proc/self', name).read_text().split(chr(0))\n"
        "tell = lambda: print(shown('cmdline'), 'COLOUR=blue' in shown('environ'))\n"
        "Fork(tell, ['one', 'two words'], {'COLOUR': 'blue'}).wait()"
    )
    assert run(script).stdout == "['one', 'two words', ''] True\n"


def test_it_runs_where_nobody_can_see_processes() -> None:
    script = "from pathlib import Path\nfrom batchweb import kernel\nkernel.STAT = Path('/nowhere')\n"
    assert run(script + "Fork(lambda: print('runs'), [], {}).wait()").stdout == "runs\n"


def test_it_leads_a_session_of_its_own() -> None:
    assert run("Fork(lambda: print(os.getsid(0) == os.getpid() == os.getpgid(0)), [], {}).wait()").stdout == "True\n"


def test_it_runs_a_module_as_python_would(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text("import sys; print(__name__, sys.argv)")
    done = run("Fork(fork.module(['python', '-m', 'told', 'a', 'b']), [], {}).wait()", PYTHONPATH=str(tmp_path))
    assert done.stdout == "__main__ ['" + str(tmp_path / "told.py") + "', 'a', 'b']\n"


def test_it_is_run_by_a_supervisor_like_a_program(tmp_path: Path) -> None:
    service: dict[str, object] = {
        "name": "copy", "argv": [sys.executable, "-m", "timeit", "-n1", "-r1", "import time; time.sleep(60)"],
        "forked": True,
    }  # fmt: skip
    with driven(tmp_path, service) as run:
        (copy,) = (one for one in run.family if "timeit" in one.cmdline())
        copy.kill()
        run.until("copy was ended by SIGKILL; it starts again in 1 s")
        wait(lambda: len(copies(run.process.pid)) == 1, "another one")
        run.process.terminate()
        assert run.process.wait(5) == 0
        assert run.left() == []


def copies(parent: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(parent).children() if "timeit" in one.cmdline()]


# A process that a copy forks off, and that leaves its session, is known by what it shows of its environment.
RUNAWAY = "import os, time\nos.fork() or os.setsid()\nprint('up', flush=True)\ntime.sleep(60)\n"


def test_it_leaves_nothing_when_its_supervisor_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runaway.py").write_text(RUNAWAY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with driven(tmp_path, {"name": "copy", "argv": [sys.executable, "-m", "runaway"], "forked": True}) as run:
        run.until("| up", times=2)
        run.remember()
        run.process.kill()
        wait(lambda: not run.left(), "the end of all of them", within=5)
