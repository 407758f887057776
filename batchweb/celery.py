"""The Celery application. Tasks are wake-ups: what is to be done stands in the database."""

import os
import sys
import warnings
from typing import Any

# A worker that is to stop ends its tasks and gives them back. Read when Celery is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning
from kombu.transport import TRANSPORT_ALIASES

from batchweb import installation

# Said whenever the broker drops, of tasks that are acknowledged late: ours are not.
warnings.simplefilter("ignore", CPendingDeprecationWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")
# Names are resolved when a connection is made.
TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "batchweb.messages:Transport"
before = list(sys.path)
app = Celery("batchweb")
# Celery's support of Django puts the current folder in front, which may be another project's with a `jobs` of its own.
sys.path[:] = installation.own_first(before)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def leave_logging(**kwargs: Any) -> None:
    """Where somebody listens, Celery adds no handlers of its own: they would write lines that nobody has redacted."""
