"""A worker of Celery: `python -m batchweb.worker -Q work …`, with the options of `celery worker`.

`celery -A batchweb` would look for batchweb in the current folder first, which may be another project's.
"""

from __future__ import annotations

import sys

from batchweb import celery_app, machine

if __name__ == "__main__":
    with machine.trouble_told():
        celery_app.start(["-q", "worker", *sys.argv[1:]])
