"""A Chromium for the browser tests: BROWSER_PATH, one on PATH, or one from an npm package, kept in the cache."""

from __future__ import annotations

import fcntl
import io
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import brotli

from tests.services import Missing, cache
from tests.services.npm import packed

PACKAGE = "@sparticuz/chromium"
VERSION = "153.0.0"
SHA256 = "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a font every text is 0 by 0 pixels, and nothing can be clicked.
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """What Playwright's `launch` needs: `executable_path` and, beside the process's own variables, `env`."""

    path: str
    env: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str | float | bool]:
        return {**os.environ, **self.env}


def chromium() -> Chromium:
    """The browser to drive, fetched on first use. Raises Missing."""
    if named := os.environ.get("BROWSER_PATH"):
        return Chromium(named)
    for name in NAMES:
        if found := shutil.which(name):
            return Chromium(found)
    return packaged()


def packaged() -> Chromium:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise Missing("No Chromium on PATH. Install one, or set BROWSER_PATH.")
    folder = cache() / f"chromium-{VERSION}"
    with (cache() / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once fetch it once
        if not folder.exists():
            fetch(folder)
    return unpacked(folder)


def unpacked(folder: Path) -> Chromium:
    libraries = [folder / "al2023" / "lib", folder]
    return Chromium(
        str(folder / "chromium"),
        {"FONTCONFIG_PATH": str(folder / "fonts"), "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))},
    )


def fetch(folder: Path) -> None:
    """Downloads the pinned package, unpacks it aside and puts it in place in one step."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        aside = Path(name)
        archive = packed(PACKAGE, VERSION, SHA256, aside)
        (made := aside / "made").mkdir()
        with tarfile.open(archive) as package:
            for member in package:
                if member.name.startswith("package/bin/") and (file := package.extractfile(member)):
                    unpack(Path(member.name).name, brotli.decompress(file.read()), made)
        write_fonts(made / "fonts", folder / "fonts")
        made.rename(folder)


def unpack(name: str, data: bytes, folder: Path) -> None:
    """One file of the package: a compressed program, or a compressed archive of libraries or fonts."""
    stem = name.removesuffix(".br")
    if not stem.endswith(".tar"):
        (folder / stem).write_bytes(data)
        (folder / stem).chmod(0o755)
        return
    place = folder if stem == "swiftshader.tar" else folder / stem.removesuffix(".tar")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(place, filter="data")


def write_fonts(made: Path, final: Path) -> None:
    """The list of font folders. `final` is where the fonts will be once all is in place."""
    (made / "fonts.conf").write_text(FONTS.format(fonts=final, cache=final.parent / "font-cache"))
