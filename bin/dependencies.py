"""Tells the build of the wheel what the running system needs: the lines of requirements.in, without their reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Dependencies(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        """Adds them to the metadata of the project."""
        text = Path(self.root, "requirements.in").read_text("utf-8")
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        metadata["dependencies"] = [line for line in lines if line]
