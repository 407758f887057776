"""The images that Dockerfile and docker-compose.yml start from: pulled, or made where no registry is reached."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.image.engine import FOLDER, Engine, Missing, boxed, say, shared, unable

STAND_INS: Final = Path(__file__).resolve().parent / "stand_ins"
KINDS: Final = ("python", "postgres", "valkey")
LABEL: Final = "batchweb-stand-in"
DEBIAN: Final = "batchweb-image-test/debian"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
BASE: Final = re.compile(r"^(?:FROM| +image:) ((?:\w+/)?(?:python|postgres|valkey):\S+)", re.M)


def named(checkout: Path) -> list[str]:
    """The tags of the images of other makers that a checkout asks for."""
    text = (checkout / "Dockerfile").read_text() + (checkout / "docker-compose.yml").read_text()
    return sorted(set(BASE.findall(text)))


def bring(engine: Engine, tag: str) -> bool:
    """Has the image there, and tells whether it was made here. Raises Missing."""
    there = engine.run("image", "inspect", "-f", "{{.Config.Labels}}", tag)
    ours = LABEL in there.stdout
    if not ours and (not there.returncode or not engine.run("pull", "-q", tag, timeout=600).returncode):
        return False
    if why := unable():
        raise Missing(f"the image {tag} is not here, no registry gives it, and it cannot be made: {why}")
    if not ours:
        say(f"No registry gives {tag}: making it of Debian's packages …")
    make(engine, tag)
    return True


def make(engine: Engine, tag: str) -> None:
    kind = next(kind for kind in KINDS if kind in tag)
    if engine.run("image", "inspect", DEBIAN).returncode:
        imported(engine)
    context = shared() / "stand_ins"
    shutil.copytree(STAND_INS, context, dirs_exist_ok=True)
    shutil.copyfile(CERTIFICATES, context / CERTIFICATES.name)
    file = str(context / f"{kind}.Dockerfile")
    engine.out("build", "-q", "--label", f"{LABEL}=1", "-t", tag, "-f", file, str(context))


def imported(engine: Engine) -> None:
    """Debian as an image."""
    box = boxed(FOLDER / "debian", "ca-certificates")
    with subprocess.Popen(("tar", "-C", str(box), "-c", "."), stdout=subprocess.PIPE) as packed:
        engine.out("import", "-", DEBIAN, stdin=packed.stdout)
