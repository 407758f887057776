"""Puts the faults in place when everything that they wrap is loaded."""

from __future__ import annotations

import importlib

from django.apps import AppConfig


class Faults(AppConfig):
    name = "tests.faults"

    def ready(self) -> None:
        importlib.import_module("tests.faults.inject").install()
