from __future__ import annotations

import os

# An SQLite in memory has one connection, so there is nothing to race.
collect_ignore = [] if os.environ.get("TEST_DATABASE") == "postgres" else ["test_races.py"]
