"""What `make` and .ci/run promise."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.platform.test_supervisor import wait
from tests.services import ROOT
from tests.services.postgres import free_port


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    calm = {
        key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON")
    }
    return subprocess.run(["make", *arguments], cwd=cwd, env=calm, capture_output=True, text=True, timeout=120)


def test_it_says_which_python_it_needs() -> None:
    done = make("run", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "batchweb needs Python 3.11, 3.12, 3.13 or 3.14, and 'no-such-python' is none of them." in done.stderr


def test_it_refuses_an_old_python(tmp_path: Path) -> None:
    old = script(tmp_path / "python", "#!/bin/sh\nexit 1\n")
    assert "is none of them" in make("run", f"PYTHON={old}").stderr


def test_it_takes_no_library_of_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    done = make("has-python", f"PYTHON={sys.executable}")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_runs_the_tests_for_continuous_integration(tmp_path: Path) -> None:
    script(tmp_path / "make", '#!/bin/sh\necho "$PWD $CI $*"; cat\n')
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CI": ""}
    done = subprocess.run(["bash", ROOT / ".ci" / "run"], cwd="/", env=environment, capture_output=True, text=True)
    assert done.stdout == f"{ROOT} true test\n"


def test_it_tests_both_databases_types_layers_and_containers() -> None:
    plan = make("-n", "test").stdout
    wanted = (
        "pytest",
        "tests.services.postgres",
        "ruff",
        "mypy",
        "lint_imports",
        "hadolint",
        "check_jsonschema",
        "--check",
        "faults and fast",
    )
    assert [word for word in wanted if word not in plan] == []


@pytest.fixture
def setup(tmp_path: Path) -> ModuleType:
    """The set-up script, working in a folder of its own."""
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "bin" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV = tmp_path, tmp_path / ".venv"  # type: ignore[attr-defined]
    module.PYTHON = tmp_path / ".venv" / "bin" / "python"  # type: ignore[attr-defined]
    for name in module.REQUIREMENTS.values():
        (tmp_path / name).write_text("one")
    (tmp_path / ".venv").mkdir()
    return module


def test_it_installs_again_when_the_requirements_change(setup: ModuleType) -> None:
    setup.stamp("run").write_text(setup.digest("run"))
    assert setup.filled("run")
    (setup.ROOT / "requirements.txt").write_text("two")
    assert not setup.filled("run")


def test_it_makes_the_environment_anew_for_another_python(setup: ModuleType) -> None:
    setup.PYTHON.parent.mkdir()
    script(setup.PYTHON, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert setup.usable()
    script(setup.PYTHON, "#!/bin/sh\nexit 1\n")
    assert not setup.usable()


def test_it_says_what_is_missing_without_venv(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match="its venv or ensurepip module is missing"):
        setup.make_venv()
    assert not setup.VENV.exists()


def test_it_falls_back_to_pip(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def ran(*command: str | Path, quiet: bool = False) -> bool:
        calls.append(tuple(map(str, command)))
        return "sync" not in command

    monkeypatch.setattr(setup, "ran", ran)
    setup.fill("run")
    assert calls[-1][1:] == ("-m", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements.txt")
    assert setup.filled("run")


def test_it_counts_the_installation_as_undone_when_it_fails(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "ran", lambda *command, quiet=False: False)
    with pytest.raises(SystemExit):
        setup.fill("run")
    assert not setup.filled("run")


def test_it_installs_where_it_should_whatever_pip_is_told(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = script(tmp_path / "tool", '#!/bin/sh\nenv > "$1"\n')
    for name in ("PIP_USER", "PIP_TARGET", "PYTHONPATH"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    assert setup.ran(seen, tmp_path / "environment")
    lines = (tmp_path / "environment").read_text().splitlines()
    assert [line for line in lines if line.startswith(("PIP_USER", "PIP_TARGET", "PYTHONPATH"))] == []
    assert f"XDG_CACHE_HOME={tmp_path / '.cache'}" in lines


def test_it_writes_nothing_when_all_is_in_place(setup: ModuleType) -> None:
    setup.PYTHON.parent.mkdir()
    script(setup.PYTHON, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    setup.stamp("run").write_text(setup.digest("run"))
    before = sorted(setup.ROOT.rglob("*"))
    setup.main("run", [])
    assert sorted(setup.ROOT.rglob("*")) == before


def test_it_names_the_owner_of_what_it_cannot_write(setup: ModuleType) -> None:
    told = setup.refusal(PermissionError(13, "Permission denied", str(setup.ROOT / ".cache" / "setup.lock")))
    assert told.startswith(f"{setup.ROOT} belongs to {setup.ROOT.owner()}. Have it given to you: sudo chown -R ")


@pytest.mark.flow
@pytest.mark.slow
def test_it_runs_from_a_fresh_copy_in_a_folder_with_a_space(tmp_path: Path) -> None:
    copy, port = tmp_path / "a copy", free_port()
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in filter(None, subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")):
        if (source := ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name)
    run_and_stop(copy, port, within=180)
    installed = (copy / ".venv" / "batchweb-run.stamp").stat().st_mtime_ns
    run_and_stop(copy, port, within=180)
    assert (copy / ".venv" / "batchweb-run.stamp").stat().st_mtime_ns == installed


def run_and_stop(copy: Path, port: int, within: float) -> None:
    """`make run` until its sign-in line, then Ctrl-C as a terminal sends it: to make and to all that it started."""
    calm = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "DATA", "REDIS", "PYTHON"))}
    output = copy.parent / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}", f"PYTHON={sys.executable}"],
            cwd=copy, env=calm, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        wait(lambda: "Sign in: " in output.read_text(), "the sign-in line", within)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in output.read_text()
