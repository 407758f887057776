"""The wheel: built once, installed beside the packages that the tests have, and used far from any checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.platform.test_supervisor import wait
from tests.platform.test_up import get
from tests.services import ROOT, Missing, skip_or_fail
from tests.services.postgres import free_port

pytestmark = pytest.mark.flow
# Nothing but what a terminal has: no settings of the tests, and no proxy nor index to fetch from.
KEPT = ("PATH", "LANG", "TMPDIR")
NOWHERE = {"PIP_NO_INDEX": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
PRODUCTION = {
    "PRODUCTION": "1", "HTTPS": "0", "ALLOWED_HOSTS": "127.0.0.1",
    "SECRET_KEY": "a-secret-of-many-different-letters-0123456789-ABCDEFGHIJ",
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("hatchling") is None:
        skip_or_fail(Missing("hatchling is not installed"))
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def batchweb(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of a fresh environment, which sees the packages of this one, and not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=True)
    python = folder / "bin" / "python"
    installed = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(installed, "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, env={**os.environ, **NOWHERE})
    return folder / "bin" / "batchweb"


class Place:
    """An empty folder of a person who has a home."""

    def __init__(self, batchweb: Path, folder: Path) -> None:
        self.batchweb = batchweb
        self.here = folder / "here"
        self.here.mkdir()
        self.data = folder / "home" / ".local" / "share" / "batchweb"
        self.variables = {name: os.environ[name] for name in KEPT if name in os.environ} | NOWHERE
        self.variables |= {"HOME": str(folder / "home")}

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.batchweb, *arguments], cwd=self.here, env=self.variables, capture_output=True, text=True, timeout=120
        )

    @contextmanager
    def up(self) -> Iterator[str]:
        """Runs everything and stops it by Ctrl-C; its sign-in link meanwhile."""
        output = self.here.parent / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [self.batchweb, "up", "--port", str(free_port())], cwd=self.here, env=self.variables,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        try:
            wait(lambda: "Sign in: " in output.read_text() or process.poll() is not None, "the link", within=120)
            yield output.read_text().partition("Sign in: ")[2].split("\n")[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in output.read_text()


@pytest.fixture
def place(batchweb: Path, tmp_path: Path) -> Place:
    return Place(batchweb, tmp_path)


def result_of_a_job(place: Place) -> str:
    (place.here / "q.csv").write_text("name,simulate\none,ok\ntwo,ok\n")
    done = place.call("submit", "q.csv", "--processor", "simulate", "--watch", "--results", "out.csv")
    assert (done.returncode, "2 succeeded of 2" in done.stdout + done.stderr) == (0, True), done.stderr
    return (place.here / "out.csv").read_text()


def test_it_holds_pages_samples_and_static_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    beside = [path for top in ("templates", "samples") for path in (ROOT / top).rglob("*.*")]
    static = {str(path.relative_to(ROOT)) for path in (ROOT / "jobs" / "static").rglob("*.*")}
    wanted = {f"batchweb/{path.relative_to(ROOT)}" for path in beside} | static
    assert wanted - names == set()
    assert not any(name.startswith(("tests/", "var/", "manage.py")) for name in names)


def test_it_asks_for_what_requirements_say(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    lines = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    assert metadata.count("\nRequires-Dist: ") == len(lines)
    assert "\nRequires-Dist: django<5.3,>=5.2.14\n" in metadata
    assert "\nRequires-Python: <3.15,>=3.11\n" in metadata


def test_it_tells_its_version(place: Place) -> None:
    in_checkout = subprocess.run([sys.executable, "manage.py", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert place.call("--version").stdout == in_checkout.stdout == "batchweb 0.1.0\n"


def test_it_runs_a_job_in_an_empty_folder_without_a_network(place: Place) -> None:
    with place.up() as link:
        assert get(link).headers["Location"] == "/"
        assert "one,ok" in result_of_a_job(place)
        assert (place.data / "db.sqlite3").exists()
    assert sorted(path.name for path in place.here.iterdir()) == ["out.csv", "q.csv"]


def test_it_runs_beside_another_django_project(place: Place) -> None:
    wrong = 'raise SystemExit("the wrong module")\n'
    for name in ("jobs", "tests", "mysite"):
        (place.here / name).mkdir()
        (place.here / name / "__init__.py").write_text(wrong)
    (place.here / "manage.py").write_text(wrong)
    place.variables |= {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": "."}
    with place.up():
        assert "two,ok" in result_of_a_job(place)


def test_it_serves_hashed_static_files_in_production(place: Place) -> None:
    place.variables |= PRODUCTION
    with place.up() as link:
        page = get(link.split("/enter/")[0] + "/accounts/login/")
        assert page.status == 200
    assert (place.data / "static" / "staticfiles.json").exists()
    made = (place.data / "static" / "staticfiles.json").stat().st_mtime_ns
    with place.up():
        assert (place.data / "static" / "staticfiles.json").stat().st_mtime_ns == made


def test_it_names_its_own_commands(place: Place) -> None:
    (place.here / "q.csv").write_text("name\none\n")
    done = place.call("submit", "q.csv", "--processor", "simulate")
    assert "`batchweb up` does that." in done.stderr
