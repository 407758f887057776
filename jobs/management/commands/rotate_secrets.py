from __future__ import annotations

import sys
from typing import Any

from jobs.humanize import counted
from jobs.maintenance.key_rotation import Rotation
from jobs.management import base
from jobs.models import Job, Run


class Command(base.Command):
    help = (
        "Encrypts every stored secret with the first of SECRETS_KEYS. Exit status 1 where some cannot be read; "
        "stopped in the middle, it goes on from there."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotation = Rotation()
        for rows in rotation.go(Job.objects.all(), Run.objects.all(), rotation.under_first_key):
            self.stderr.write(f"{counted(rows, 'row')} …")
        self.stdout.write(
            f"{counted(rotation.anew, 'secret')} encrypted anew, {rotation.plain:,} that stood there as typed, "
            f"{rotation.current:,} left as they were, {len(rotation.unreadable):,} that no key reads."
        )
        for code, name in sorted(rotation.unreadable):
            self.stdout.write(f"{code}: the secret “{name}” cannot be read with the keys of this server.")
        sys.exit(1 if rotation.unreadable else 0)
