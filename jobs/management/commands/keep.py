from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from jobs.maintenance import keeper


class Command(BaseCommand):
    help = "Runs the keeper: returns what dead workers held, wakes workers, removes what nobody needs."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        keeper.keep(stopping)
