"""The Celery application. Tasks are wake-ups: what is to be done stands in the database."""

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning

# Said whenever the broker drops, of tasks that are acknowledged late: ours are not.
warnings.simplefilter("ignore", CPendingDeprecationWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchweb.settings")
app = Celery("batchweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
